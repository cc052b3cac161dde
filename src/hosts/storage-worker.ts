import { randomBytes } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { serveRpc } from '../platform/rpc.ts';
import { invariant } from '../platform/errors.ts';
import { behindLock, OutboxLock } from '../outbox/file/outbox-lock.ts';
import { Storage } from '../outbox/storage.ts';
import type { StorageOptions, StorageProtocol } from '../outbox/file/storage-protocol.ts';

/*
 * Entry file of the storage worker: the thread that owns every SQLite connection. An fsync of 300 ms stalls the
 * thread that asked for it for 304 ms, which must not be the one with the sockets.
 */
const port = parentPort;
invariant(port !== null, 'storage-worker.ts is started as a worker thread');

// Made by Outbox, which starts this file.
const options = workerData as StorageOptions;
const storage = new Storage({
  ...options,
  // Sorts by time, and is still unique where two clocks, or one that was set back, agree.
  newEpoch: (nowMs) => `${Math.floor(nowMs).toString(36).padStart(9, '0')}${randomBytes(4).toString('hex')}`,
});

serveRpc<StorageProtocol>(
  { post: (message) => port.postMessage(message), onMessage: (listener) => port.on('message', listener) },
  behindLock(new OutboxLock(options.config.path), storage.handlers()),
);
