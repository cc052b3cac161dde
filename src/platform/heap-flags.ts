import { execArgv } from 'node:process';

/** As bin/andon.js bounds the agent's own, which says why. */
const FLAG = '--max-semi-space-size';
export const YOUNG_MB = 4;

/**
 * Node's flags for a child of the agent: the bound of its young generation, where that of the agent is bounded on the command
 * line. The agent's other flags (an inspector's port, a test runner's loader) are not meant for its children.
 *
 * @param youngMb Megabytes after which the young generation is collected.
 */
export function childFlags(youngMb: number): readonly string[] {
  return execArgv.some((flag) => flag.startsWith(`${FLAG}=`)) ? [`${FLAG}=${youngMb}`] : [];
}
