import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';

/** Nice value of processes and threads that no verdict waits for: those of clients, and the sample history. */
export const NICENESS = 10;

/**
 * Lowers the priority of the calling thread only, so that threads that work for watches run first on a busy machine. Has no effect on
 * systems other than Linux, whose threads have no priorities of their own.
 */
export function lowerPriority(): void {
  // For example 4711/task/4713.
  optionally(() => setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), NICENESS));
}

/** Sets the nice value of this process. */
export function setNiceness(niceness: number): void {
  optionally(() => setPriority(niceness));
}

function optionally(set: () => void): void {
  try {
    set();
  } catch {
    // The priority is an optimization; some systems refuse to change it.
  }
}
