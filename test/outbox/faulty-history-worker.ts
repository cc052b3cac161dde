import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../../src/platform/errors.ts';
import { serveRpc } from '../../src/platform/rpc.ts';
import type { HistoryOptions, HistoryProtocol } from '../../src/outbox/history/history-protocol.ts';
import { HistoryStore } from '../../src/outbox/history/history-store.ts';

/*
 * A history worker whose first life stores one batch and then ends (or hangs, if the folder has a file 'hang') before it
 * answers. Its second life is sound.
 */
const port = parentPort;
invariant(port !== null, 'started as a worker thread');
const { config } = workerData as HistoryOptions;
const folder = dirname(config.path);
const handlers = new HistoryStore(config).handlers();

serveRpc<HistoryProtocol>(
  { post: (message) => port.postMessage(message), onMessage: (listener) => port.on('message', listener) },
  {
    ...handlers,
    append: (batch) => {
      const result = handlers.append(batch);
      if (existsSync(join(folder, 'second-life'))) return result;
      writeFileSync(join(folder, 'second-life'), '');
      if (!existsSync(join(folder, 'hang'))) process.exit(3);
      // Waits for a value that is never set: the thread is blocked, as by a disk that does not return.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      return result;
    },
  },
);
