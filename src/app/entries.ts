import { entryFile } from '../platform/entry-file.ts';

/** Entry files of the thread and the child process that the agent starts. */
export const storageWorkerEntry = entryFile(import.meta.url, '../hosts/storage-worker.ts');
export const inferenceHostEntry = entryFile(import.meta.url, '../hosts/inference-host.ts');
