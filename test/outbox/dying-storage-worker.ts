import { existsSync, writeFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../../src/platform/errors.ts';
import type { StorageOptions, StorageProtocol } from '../../src/outbox/file/storage-protocol.ts';
import { Storage } from '../../src/outbox/storage.ts';
import { serveRpc } from '../../src/platform/rpc.ts';

/* A storage worker that dies of its first append, after the commit and before the answer. The next one on the same file does not. */
const port = parentPort;
invariant(port !== null, 'started as a worker thread');
const options = workerData as StorageOptions;
const handlers = new Storage({ ...options, newEpoch: () => 'e1' }).handlers();
const mark = `${options.config.path}.died`;
serveRpc<StorageProtocol>(
  { post: (message) => port.postMessage(message), onMessage: (listener) => port.on('message', listener) },
  {
    ...handlers,
    append: (batch) => {
      const outcome = handlers.append(batch);
      if (existsSync(mark)) return outcome;
      writeFileSync(mark, '');
      setImmediate(() => {
        throw new Error('after the commit');
      });
      return new Promise(() => undefined);
    },
  },
);
