import { execArgv } from 'node:process';

/** Same flag as in bin/andon.js, which explains it. */
const FLAG = '--max-semi-space-size';
export const YOUNG_MB = 4;

/**
 * Returns Node's flags for a child process: the limit of its young generation, if the agent's command line limits that of
 * the agent. Other flags of the agent (inspector port, loader of a test runner) are not for its children.
 *
 * @param youngMb Size in megabytes at which the young generation is collected.
 */
export function childFlags(youngMb: number): readonly string[] {
  return execArgv.some((flag) => flag.startsWith(`${FLAG}=`)) ? [`${FLAG}=${youngMb}`] : [];
}
