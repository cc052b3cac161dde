/**
 * Returns the URL of a child's entry file: `.ts` in a checkout, `.js` in the published package.
 *
 * @param from The caller's `import.meta.url`. Its extension selects between the two.
 * @param path Relative path with the extension `.ts`.
 */
export function entryFile(from: string, path: string): URL {
  return new URL(from.endsWith('.ts') ? path : path.replace(/\.ts$/, '.js'), from);
}

/** Entry files of the threads and child processes that the agent starts. */
export const storageWorkerEntry = entryFile(import.meta.url, '../hosts/storage-worker.ts');
export const recordReaderEntry = entryFile(import.meta.url, '../hosts/record-reader.ts');
export const historyWorkerEntry = entryFile(import.meta.url, '../hosts/history-worker.ts');
export const inferenceHostEntry = entryFile(import.meta.url, '../hosts/inference-host.ts');
export const tensorCodecEntry = entryFile(import.meta.url, '../hosts/tensor-codec.ts');
export const trainingHostEntry = entryFile(import.meta.url, '../hosts/training-host.ts');
export const backupHostEntry = entryFile(import.meta.url, '../hosts/backup-host.ts');
export const modelServerEntry = entryFile(import.meta.url, '../hosts/model-server.ts');
export const limitGarbageEntry = entryFile(import.meta.url, '../hosts/limit-garbage.ts');
export const configCheckEntry = entryFile(import.meta.url, '../hosts/config-check.ts');
