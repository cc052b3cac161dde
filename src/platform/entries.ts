import { entryFile } from './entry-file.ts';

/** Entry files of the threads and child processes that the agent starts. */
export const storageWorkerEntry = entryFile(import.meta.url, '../hosts/storage-worker.ts');
export const recordReaderEntry = entryFile(import.meta.url, '../hosts/record-reader.ts');
export const historyWorkerEntry = entryFile(import.meta.url, '../hosts/history-worker.ts');
export const inferenceHostEntry = entryFile(import.meta.url, '../hosts/inference-host.ts');
export const tensorCodecEntry = entryFile(import.meta.url, '../hosts/tensor-codec.ts');
export const trainingHostEntry = entryFile(import.meta.url, '../hosts/training-host.ts');
export const modelServerEntry = entryFile(import.meta.url, '../hosts/model-server.ts');
