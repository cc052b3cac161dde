import { parentPort, workerData } from 'node:worker_threads';
import { lowerPriority } from './lower-priority.ts';
import { invariant } from '../platform/errors.ts';
import { serveRpc } from '../platform/rpc.ts';
import type { HistoryOptions, HistoryProtocol } from '../outbox/history/history-protocol.ts';
import { HistoryStore } from '../outbox/history/history-store.ts';

/*
 * Entry file of the history worker: the thread that owns history.db. Bulk writes of samples must not delay the commit of a
 * verdict, so they are not in the storage worker.
 */
const port = parentPort;
invariant(port !== null, 'history-worker.ts is started as a worker thread');

lowerPriority();

// Created by HistoryStorage, which starts this file.
const { config } = workerData as HistoryOptions;

serveRpc<HistoryProtocol>(
  { post: (message) => port.postMessage(message), onMessage: (listener) => port.on('message', listener) },
  new HistoryStore(config).handlers(),
);
