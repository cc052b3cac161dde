import process from 'node:process';
import { systemDeps } from '../platform/deps.ts';
import { OpcuaHost } from '../sources/opcua/client/opcua-host.ts';
import type { OpcuaCommand, OpcuaEvent } from '../sources/opcua/opcua-protocol.ts';
import { setOomScore } from './set-oom-score.ts';

/*
 * Entry file of the process with the OPC UA library. It ends with its parent: without channel, sessions and timers nothing keeps
 * it alive; a session that does not close in time does not either.
 */
const CLOSE_MS = 2_000;

setOomScore(400);
const deps = systemDeps();
const host = new OpcuaHost((event: OpcuaEvent) => {
  if (process.connected) process.send?.(event);
}, deps);
// The parent is andon's own code.
process.on('message', (command) => host.take(command as OpcuaCommand));
process.once('disconnect', () => {
  deps.clock.setTimer(() => process.kill(process.pid, 'SIGKILL'), CLOSE_MS, { background: true });
  void host[Symbol.asyncDispose]();
});
// Ctrl-C reaches the whole process group; the parent decides when the process ends.
process.on('SIGINT', () => undefined);
