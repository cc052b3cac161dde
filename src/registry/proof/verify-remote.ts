import { judgesWindows } from '../../contracts/manifest-kind.ts';
import { REMOTE_PROVIDER } from '../../domain/alarm/verdict.ts';
import type { Deps } from '../../platform/deps.ts';
import { checkLatency } from '../../models/checks/latency-check.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelVerification } from './model-verification.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { servingOf } from '../../models/store/serving.ts';
import { checkServerAllowed } from '../../models/store/allowed-servers.ts';
import { RemoteClient } from '../../runtime/remote/remote-client.ts';
import { RemoteSession } from '../../runtime/remote/remote-session.ts';

/**
 * Proves a remote version on its server: metadata against manifest, golden vectors alone and as a batch, and the time of
 * a run, with the way there and back, against its deadline.
 *
 * @throws {OperatingError} As `RemoteSession.prove` and `checkLatency`.
 */
export async function verifyRemote(
  stored: StoredModel,
  options: {
    readonly config: ModelsConfig;
    readonly ifTooSlow: 'refuse' | 'report';
    readonly deps: Deps;
    readonly signal?: AbortSignal;
  },
): Promise<ModelVerification> {
  const { config, ifTooSlow, deps, signal } = options;
  const { manifest, sha256 } = stored;
  const server = manifest.remote;
  if (server === undefined) throw inferenceFailure('model-file-invalid', `${stored.name} names no server`);
  checkServerAllowed(server, config);
  const client = new RemoteClient(server, stored.name, deps);
  const stop = (): void => client.close();
  signal?.addEventListener('abort', stop);
  try {
    if (signal?.aborted === true) stop();
    const session = await RemoteSession.prove(client, manifest, {
      timeoutMs: config.loadDeadlineMs,
      clock: deps.clock,
    });
    const { inputs, golden } = session.loaded;
    const finite = judgesWindows(manifest);
    const latency = await checkLatency({
      run: (feeds, timeoutMs) => session.run({ inputs: feeds, finite }, timeoutMs),
      manifest,
      inputs,
      deadlineMs: servingOf(config, manifest).deadlineMs,
      runTimeoutMs: config.loadDeadlineMs,
      ifTooSlow,
      clock: deps.clock,
    });
    return { manifest, sha256, provider: REMOTE_PROVIDER, fallbacks: [], golden, nodesByProvider: {}, latency };
  } finally {
    signal?.removeEventListener('abort', stop);
    client.close();
  }
}
