import { randomBytes } from 'node:crypto';
import { workerData } from 'node:worker_threads';
import { serveRpc } from '../platform/rpc.ts';
import { parentThreadPort } from '../platform/rpc-ports.ts';
import { behindLock, OutboxLock } from '../outbox/file/outbox-lock.ts';
import { Storage } from '../outbox/storage.ts';
import type { StorageOptions, StorageProtocol } from '../outbox/file/storage-protocol.ts';

/*
 * Entry file of the storage worker: the thread that owns all SQLite connections. An fsync of 300 ms blocks its thread for 304 ms,
 * so it must not be the thread with the sockets.
 */
// Created by Outbox, which starts this file.
const options = workerData as StorageOptions;
const storage = new Storage({
  ...options,
  // Sorts by time, and is unique even if two clocks agree or one was set back.
  newEpoch: (nowMs) => `${Math.floor(nowMs).toString(36).padStart(9, '0')}${randomBytes(4).toString('hex')}`,
});

serveRpc<StorageProtocol>(parentThreadPort(), behindLock(new OutboxLock(options.config.path), storage.handlers()));
