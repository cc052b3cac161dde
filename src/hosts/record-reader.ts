import { workerData } from 'node:worker_threads';
import { serveRpc } from '../platform/rpc.ts';
import { parentThreadPort } from '../platform/rpc-ports.ts';
import { RecordReader, type RecordReaderOptions, type RecordReaderProtocol } from '../outbox/records/record-reader.ts';

/*
 * Entry file of the reader worker: the thread that reads records for uplinks and the API. Verifying records and writing their
 * JSON takes longer than storing them, so neither the thread that commits nor the one with the sockets does it.
 */
// Created by Outbox, which starts this file.
const options = workerData as RecordReaderOptions;

serveRpc<RecordReaderProtocol>(parentThreadPort(), new RecordReader(options).handlers());
