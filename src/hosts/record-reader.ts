import { parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../platform/errors.ts';
import { serveRpc } from '../platform/rpc.ts';
import { RecordReader, type RecordReaderOptions, type RecordReaderProtocol } from '../outbox/records/record-reader.ts';

/*
 * Entry file of the reader worker: the thread that reads records for uplinks and the API. Verifying records and writing their
 * JSON takes longer than storing them, so neither the thread that commits nor the one with the sockets does it.
 */
const port = parentPort;
invariant(port !== null, 'record-reader.ts is started as a worker thread');

// Created by Outbox, which starts this file.
const options = workerData as RecordReaderOptions;

serveRpc<RecordReaderProtocol>(
  {
    post: (message, moved) => port.postMessage(message, moved),
    onMessage: (listener) => port.on('message', listener),
  },
  new RecordReader(options).handlers(),
);
