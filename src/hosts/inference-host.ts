import process from 'node:process';
import { Worker } from 'node:worker_threads';
import type { HostProtocol } from '../runtime/session/host-protocol.ts';
import { SessionRunner } from '../runtime/session/session-runner.ts';
import { entryFile } from '../platform/entries.ts';
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
new Worker(entryFile(import.meta.url, './parent-monitor.ts'), { workerData: { parentPid: process.ppid } }).unref();

serveRpc<HostProtocol>(parentProcessPort(), new SessionRunner().handlers());

function stayUntilDisconnected(): void {}
