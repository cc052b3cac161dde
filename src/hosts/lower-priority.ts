import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';

/** Of whatever works for clients alone. */
export const NICENESS = 10;

/**
 * Lowers the priority of the calling thread alone: where the machine is short of time, whoever works for the watches
 * goes first. On other systems than Linux, where threads have no priorities of their own, nothing changes.
 */
export function lowerPriority(): void {
  try {
    // Such as 4711/task/4713.
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), NICENESS);
  } catch {
    // That it works at all is seen elsewhere.
  }
}
