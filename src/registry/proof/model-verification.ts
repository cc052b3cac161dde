import type { Tensors } from '../../contracts/inference.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import type { LatencyFigures, ModelProof } from '../../contracts/model-registry.ts';
import type { HostRun, LoadedSession } from '../../contracts/model-session.ts';
import type { RemoteServer } from '../../contracts/remote-server.ts';
import { type ProviderFallback, REMOTE_PROVIDER } from '../../domain/alarm/verdict.ts';
import { formatModelReference, type ModelReference } from '../../domain/model/model-reference.ts';
import { checkLatency } from '../../models/checks/latency-check.ts';
import { checkServerAllowed } from '../../models/store/allowed-servers.ts';
import { ModelDirectory, type StoredModel } from '../../models/store/model-directory.ts';
import { providersOf, servingOf } from '../../models/store/serving.ts';
import { HostProcess, type HostOptions } from '../../runtime/host/host-process.ts';
import { loadOnFirstProvider } from '../../runtime/host/provider-order.ts';
import { RemoteClient } from '../../runtime/remote/remote-client.ts';
import { RemoteSession } from '../../runtime/remote/remote-session.ts';

/** The proof is less urgent than the scan and the models of the watches. */
const NICENESS = 10;

export type ModelVerification = ModelProof & {
  readonly manifest: AnyManifest;
  readonly fallbacks: readonly ProviderFallback[];
  /** Number of graph nodes by provider; empty on the CPU. */
  readonly nodesByProvider: Readonly<Record<string, number>>;
};

export type VerificationOptions = HostOptions & {
  readonly model: ModelReference;
  /** 'report' if the version must not be refused for its latency, as at a rollback; 'refuse' by default. */
  readonly ifTooSlow?: 'refuse' | 'report';
  /** Cancels the verification immediately. */
  readonly signal?: AbortSignal;
};

type RunOnce = (inputs: Tensors, finite: boolean, timeoutMs: number) => Promise<HostRun>;

/**
 * Proves a version as the agent does before it uses it: hash, graph against manifest, golden vectors alone and as a
 * batch, execution provider, and latency against the deadline. The version runs in a host of its own, or on its server.
 *
 * @throws {ConfigError} model.yaml is invalid.
 * @throws {OperatingError} 'model-file-invalid', 'model-load-failed', 'model-golden-mismatch',
 *   'provider-unavailable', 'host-crashed', 'inference-timeout', 'model-too-slow', and the errors of a remote run.
 */
export async function verifyModel(options: VerificationOptions): Promise<ModelVerification> {
  const stored = await ModelDirectory.of(options.config).find(options.model);
  const { remote } = stored.manifest;
  return remote === undefined ? verifyLocal(stored, options) : verifyRemote(stored, remote, options);
}

async function verifyLocal(stored: StoredModel, options: VerificationOptions): Promise<ModelVerification> {
  const { entry, config, model, deps, signal } = options;
  const host = new HostProcess(entry, deps.clock, NICENESS);
  try {
    using _stop = stopping(signal, () => host.kill('stopped'));
    const key = formatModelReference(model);
    const list = { providers: providersOf(config, model.name), givenUp: new Map() };
    const { loaded, provider, fallbacks } = await loadOnFirstProvider(host, key, stored, list, config);
    const run: RunOnce = (inputs, finite, timeoutMs) => host.call('run', { key, inputs, finite }, timeoutMs);
    const latency = await measure(stored, loaded, run, options);
    const { manifest, sha256 } = stored;
    const { golden, nodesByProvider } = loaded;
    return { manifest, sha256, provider: provider.name, fallbacks, golden, nodesByProvider, latency };
  } finally {
    await host.exited;
  }
}

/** Its latency includes the way to the server and back. */
async function verifyRemote(
  stored: StoredModel,
  server: RemoteServer,
  options: VerificationOptions,
): Promise<ModelVerification> {
  const { config, deps, signal } = options;
  const { manifest, sha256 } = stored;
  checkServerAllowed(server, config);
  const client = new RemoteClient(server, stored.name, deps);
  using _stop = stopping(signal, () => client.close());
  const limits = { timeoutMs: config.loadDeadlineMs, clock: deps.clock };
  const session = await RemoteSession.prove(client, manifest, limits);
  const run: RunOnce = (inputs, finite, timeoutMs) => session.run({ inputs, finite }, timeoutMs);
  const latency = await measure(stored, session.loaded, run, options);
  const { golden } = session.loaded;
  return { manifest, sha256, provider: REMOTE_PROVIDER, fallbacks: [], golden, nodesByProvider: {}, latency };
}

/** Stops the work at the end of the scope, or when it is cancelled. */
function stopping(signal: AbortSignal | undefined, stop: () => void): Disposable {
  signal?.addEventListener('abort', stop);
  if (signal?.aborted === true) stop();
  return {
    [Symbol.dispose]: () => {
      signal?.removeEventListener('abort', stop);
      stop();
    },
  };
}

async function measure(
  { manifest }: StoredModel,
  { inputs }: Pick<LoadedSession, 'inputs'>,
  run: RunOnce,
  { config, ifTooSlow = 'refuse', deps }: VerificationOptions,
): Promise<LatencyFigures | undefined> {
  const finite = judgesWindows(manifest);
  return checkLatency({
    run: (feeds, timeoutMs) => run(feeds, finite, timeoutMs),
    manifest,
    inputs,
    deadlineMs: servingOf(config, manifest).deadlineMs,
    runTimeoutMs: config.loadDeadlineMs,
    ifTooSlow,
    clock: deps.clock,
  });
}
