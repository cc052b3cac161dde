import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

/**
 * Frees unused memory immediately. V8 may otherwise keep the buffer of a large file for the lifetime of a process that
 * allocates little else. Blocks the thread for some milliseconds.
 */
export function collectGarbage(): void {
  collect ??= exposedCollector();
  collect();
}

function exposedCollector(): () => void {
  setFlagsFromString('--expose-gc');
  // A context that is made after the flag was set has the function; the one that runs has not.
  return runInNewContext('gc') as () => void;
}
