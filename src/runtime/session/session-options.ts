import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import type { LoadParams } from './host-protocol.ts';

/**
 * Returns the options of ONNX Runtime: one provider only, with the configured number of threads.
 *
 * @param profiles Folder for the profile with the provider of each operator.
 */
export function sessionOptions(
  { provider, intraOpThreads }: Pick<LoadParams, 'provider' | 'intraOpThreads'>,
  profiles: string,
): InferenceSession.SessionOptions {
  return {
    executionProviders: [provider.name === 'cuda' ? { name: 'cuda', deviceId: provider.deviceId } : provider.name],
    intraOpNumThreads: intraOpThreads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    logSeverityLevel: 3,
    enableProfiling: provider.name !== 'cpu',
    profileFilePrefix: join(profiles, 'profile'),
    // A thread that spins for the next run takes a core from the scan of the machines.
    extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
  };
}
