import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { errorCode } from '../platform/errors.ts';

/**
 * When memory runs out, Linux should take this process, and not the agent that watches the machines.
 *
 * @param score Of Linux's 1000; what has more goes first.
 */
export function setOomScore(score: number): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', String(score));
  } catch (error) {
    // Another system, or a /proc that is not ours to write: it works without.
    process.stderr.write(`oom_score_adj was not set (${errorCode(error)})\n`);
  }
}
