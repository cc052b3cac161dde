import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

/**
 * Gives back at once the memory of what is no longer used. By itself V8 may keep the buffer of a large file for as long
 * as a process lives that makes little else. Takes some milliseconds, in which the thread does nothing else.
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
