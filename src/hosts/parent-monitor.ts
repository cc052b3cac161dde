import process from 'node:process';
import { workerData } from 'node:worker_threads';
import { SystemClock } from '../platform/clock.ts';

/*
 * Entry of a thread in a child process: ends the process once its parent is gone. The main thread learns that
 * from its channel, but not while it is blocked in native code, and a child in an endless run would stay for ever.
 */
const CHECK_MS = 1_000;

const clock = new SystemClock();
// Read by the main thread: by the time this one runs, the parent may be gone already.
const { parentPid } = workerData as { readonly parentPid: number };
check();

function check(): void {
  // An orphan is handed to another process.
  if (process.ppid !== parentPid) process.kill(process.pid, 'SIGKILL');
  clock.setTimer(check, CHECK_MS);
}
