import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { Worker } from 'node:worker_threads';
import type { HostProtocol } from '../inference/host/host-protocol.ts';
import { SessionRunner } from '../inference/session/session-runner.ts';
import { entryFile } from '../platform/entry-file.ts';
import { errorCode, invariant } from '../platform/errors.ts';
import type { RpcPort } from '../platform/rpc.ts';
import { serveRpc } from '../platform/rpc.ts';

/*
 * Entry of the inference host, a child process of the agent. It ends with the channel: nothing in it is worth
 * saving, and native destructors of a sick GPU driver may hang, so it does not go through them.
 */
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

// Ctrl-C reaches the whole process group, and systemd may signal the whole unit; the agent ends its host itself, last.
process.on('SIGINT', stayUntilDisconnected);
process.on('SIGTERM', stayUntilDisconnected);

preferAsVictim();
new Worker(entryFile(import.meta.url, './parent-watch.ts'), { workerData: { parentPid: process.ppid } }).unref();

const runner = new SessionRunner();
serveRpc<HostProtocol>(agentPort(), {
  load: (params) => runner.load(params),
  run: (params) => runner.run(params),
  unload: async ({ key }) => {
    await runner.unload(key);
    return undefined;
  },
  ping: () => ({ residentBytes: process.memoryUsage.rss() }),
});

function stayUntilDisconnected(): void {}

/** When memory runs out, Linux should take the host, which is replaced, and not the agent that watches the machines. */
function preferAsVictim(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '500');
  } catch (error) {
    // Another system, or a /proc that is not ours to write: the host works without.
    process.stderr.write(`oom_score_adj was not set (${errorCode(error)})\n`);
  }
}

function agentPort(): RpcPort {
  invariant(process.send !== undefined, 'the inference host is started by fork');
  const send = process.send.bind(process);
  return {
    post: (message) => {
      send(message);
    },
    onMessage: (listener) => process.on('message', listener),
  };
}
