import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import type { LoadParams } from './host-protocol.ts';

/**
 * How ONNX Runtime is told to run a model: on one provider alone, with as many threads as it may have.
 *
 * @param profiles Folder for the profile that tells where each operator ran.
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
