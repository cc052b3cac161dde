import { hostEntry } from './package-files.ts';

/** Entry files of the threads and child processes that the agent starts. */
export const storageWorkerEntry = hostEntry('storage-worker');
export const recordReaderEntry = hostEntry('record-reader');
export const historyWorkerEntry = hostEntry('history-worker');
export const waveformWorkerEntry = hostEntry('waveform-worker');
export const inferenceHostEntry = hostEntry('inference-host');
export const parentMonitorEntry = hostEntry('parent-monitor');
export const manifestReaderEntry = hostEntry('manifest-reader');
export const tensorCodecEntry = hostEntry('tensor-codec');
export const trainingHostEntry = hostEntry('training-host');
export const backupHostEntry = hostEntry('backup-host');
export const modelServerEntry = hostEntry('model-server');
export const limitGarbageEntry = hostEntry('limit-garbage');
export const configCheckEntry = hostEntry('config-check');
export const opcuaHostEntry = hostEntry('opcua-host');
export const plantEntry = hostEntry('plant');
export const brokerEntry = hostEntry('broker');
