import process from 'node:process';
import { Worker } from 'node:worker_threads';
import type { HostProtocol } from '../runtime/session/host-protocol.ts';
import { SessionRunner } from '../runtime/session/session-runner.ts';
import { parentMonitorEntry } from '../platform/entries.ts';
import { serveRpc } from '../platform/rpc.ts';
import { parentProcessPort } from '../platform/rpc-ports.ts';
import { setOomScore } from './set-oom-score.ts';

/*
 * Entry of the inference host, a child process of the agent. It ends when its channel closes. It has nothing to save, and native
 * destructors of a faulty GPU driver may hang, so it kills itself instead of exiting.
 */
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

// Ctrl-C reaches the whole process group, and systemd may signal the whole unit; the agent ends its host itself, last.
process.on('SIGINT', stayUntilDisconnected);
process.on('SIGTERM', stayUntilDisconnected);

setOomScore(500);
endWithParent(process.argv[2]);

serveRpc<HostProtocol>(parentProcessPort(), new SessionRunner().handlers());

function stayUntilDisconnected(): void {}

/** @param killsAtEnd Process whose end lets Linux kill this one; undefined if no such signal is set. */
function endWithParent(killsAtEnd: string | undefined): void {
  const { pid, ppid: parentPid } = process;
  if (killsAtEnd === undefined) new Worker(parentMonitorEntry, { workerData: { parentPid } }).unref();
  // The parent ended before the signal was set.
  else if (parentPid !== Number(killsAtEnd)) process.kill(pid, 'SIGKILL');
}
