import { entryFile } from '../platform/entry-file.ts';

/** Entry files of the threads and the child process that the agent starts. */
export const storageWorkerEntry = entryFile(import.meta.url, '../hosts/storage-worker.ts');
export const inferenceHostEntry = entryFile(import.meta.url, '../hosts/inference-host.ts');
export const tensorCodecEntry = entryFile(import.meta.url, '../hosts/tensor-codec.ts');
