import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { errorCode } from '../platform/errors.ts';

/**
 * Makes Linux kill this process before the agent if memory runs out.
 *
 * @param score 0 to 1000; the process with the highest score is killed first.
 */
export function setOomScore(score: number): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', String(score));
  } catch (error) {
    // Another system, or a read-only /proc; the process works without it.
    process.stderr.write(`oom_score_adj was not set (${errorCode(error)})\n`);
  }
}
