import { workerData } from 'node:worker_threads';
import { lowerPriority } from './lower-priority.ts';
import { serveRpc } from '../platform/rpc.ts';
import { parentThreadPort } from '../platform/rpc-ports.ts';
import type { HistoryOptions, HistoryProtocol } from '../outbox/history/history-protocol.ts';
import { HistoryStore } from '../outbox/history/history-store.ts';

/*
 * Entry file of the history worker: the thread that owns history.db. Bulk writes of samples must not delay the commit of a
 * verdict, so they are not in the storage worker.
 */
lowerPriority();

// Created by HistoryStorage, which starts this file.
const { config } = workerData as HistoryOptions;

serveRpc<HistoryProtocol>(parentThreadPort(), new HistoryStore(config).handlers());
