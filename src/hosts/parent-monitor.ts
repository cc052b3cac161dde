import process from 'node:process';
import { workerData } from 'node:worker_threads';
import { SystemClock } from '../platform/clock.ts';

/*
 * Entry of a thread in a child process: ends the process when its parent has ended. The main thread detects that by its channel,
 * but not while it is blocked in native code, so a child in an endless run would never end.
 */
const CHECK_MS = 1_000;

const clock = new SystemClock();
// Read by the main thread: the parent may have ended before this thread starts.
const { parentPid } = workerData as { readonly parentPid: number };
check();

function check(): void {
  // An orphan gets another parent.
  if (process.ppid !== parentPid) process.kill(process.pid, 'SIGKILL');
  clock.setTimer(check, CHECK_MS);
}
