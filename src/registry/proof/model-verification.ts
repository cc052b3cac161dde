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

/** A version that a fresh host, or its server, has proved and can run. */
export type ProvedModel = {
  readonly stored: StoredModel;
  readonly loaded: Omit<LoadedSession, 'batching' | 'loadMs'>;
  readonly provider: string;
  readonly fallbacks: readonly ProviderFallback[];
  readonly run: (inputs: Tensors, finite: boolean, timeoutMs: number) => Promise<HostRun>;
};

/**
 * Proves a version as the agent does before it uses it: hash, graph against manifest, golden vectors alone and as a
 * batch, execution provider, and latency against the deadline. The version runs in a host of its own, or on its server.
 *
 * @throws {ConfigError} model.yaml is invalid.
 * @throws {OperatingError} 'model-file-invalid', 'model-load-failed', 'model-golden-mismatch',
 *   'provider-unavailable', 'host-crashed', 'inference-timeout', 'model-too-slow', and the errors of a remote run.
 */
export function verifyModel(options: VerificationOptions): Promise<ModelVerification> {
  return withProvedModel(options, async (proved) => {
    const { stored, loaded, provider, fallbacks } = proved;
    const { golden, nodesByProvider } = loaded;
    const latency = await measure(proved, options);
    const { manifest, sha256 } = stored;
    return { manifest, sha256, provider, fallbacks, golden, nodesByProvider, latency };
  });
}

/**
 * Loads a version and proves its golden vectors, then uses it. Its host ends afterwards.
 *
 * @throws {ConfigError | OperatingError} As `verifyModel`, without 'model-too-slow'.
 */
export async function withProvedModel<Result>(
  options: Omit<VerificationOptions, 'ifTooSlow'>,
  use: (proved: ProvedModel) => Promise<Result>,
): Promise<Result> {
  const stored = await ModelDirectory.of(options.config).find(options.model);
  const { remote } = stored.manifest;
  return remote === undefined ? withLocal(stored, options, use) : withRemote(stored, remote, options, use);
}

async function withLocal<Result>(
  stored: StoredModel,
  { entry, config, model, deps, signal }: VerificationOptions,
  use: (proved: ProvedModel) => Promise<Result>,
): Promise<Result> {
  const host = new HostProcess(entry, deps.clock, NICENESS);
  try {
    using _stop = stopping(signal, () => host.kill('stopped'));
    const key = formatModelReference(model);
    const list = { providers: providersOf(config, model.name), givenUp: new Map() };
    const { loaded, provider, fallbacks } = await loadOnFirstProvider(host, key, stored, list, config);
    const run: ProvedModel['run'] = (inputs, finite, timeoutMs) => host.call('run', { key, inputs, finite }, timeoutMs);
    return await use({ stored, loaded, provider: provider.name, fallbacks, run });
  } finally {
    await host.exited;
  }
}

/** Its latency includes the way to the server and back. */
async function withRemote<Result>(
  stored: StoredModel,
  server: RemoteServer,
  { config, deps, signal }: VerificationOptions,
  use: (proved: ProvedModel) => Promise<Result>,
): Promise<Result> {
  checkServerAllowed(server, config);
  const client = new RemoteClient(server, stored.name, deps);
  using _stop = stopping(signal, () => client.close());
  const limits = { timeoutMs: config.loadDeadlineMs, clock: deps.clock };
  const session = await RemoteSession.prove(client, stored.manifest, limits);
  const run: ProvedModel['run'] = (inputs, finite, timeoutMs) => session.run({ inputs, finite }, timeoutMs);
  const loaded = { ...session.loaded, nodesByProvider: {} };
  return await use({ stored, loaded, provider: REMOTE_PROVIDER, fallbacks: [], run });
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
  { stored: { manifest }, loaded, run }: ProvedModel,
  { config, ifTooSlow = 'refuse', deps }: VerificationOptions,
): Promise<LatencyFigures | undefined> {
  const finite = judgesWindows(manifest);
  return checkLatency({
    run: (feeds, timeoutMs) => run(feeds, finite, timeoutMs),
    manifest,
    inputs: loaded.inputs,
    deadlineMs: servingOf(config, manifest).deadlineMs,
    runTimeoutMs: config.loadDeadlineMs,
    ifTooSlow,
    clock: deps.clock,
  });
}
