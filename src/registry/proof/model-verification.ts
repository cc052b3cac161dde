import type { ModelReference } from '../../domain/model/model-reference.ts';
import { formatModelReference } from '../../domain/model/model-reference.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import type { ProviderFallback } from '../../domain/alarm/verdict.ts';
import type { Deps } from '../../platform/deps.ts';
import type { LatencyFigures } from '../../contracts/model-registry.ts';
import type { GoldenReport } from '../../contracts/model-session.ts';
import { HostProcess } from '../../runtime/host/host-process.ts';
import { checkHostLatency } from '../../runtime/host/host-latency.ts';
import { loadSession } from '../../runtime/host/load-session.ts';
import { ModelDirectory } from '../../models/store/model-directory.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { loadOnFirstProvider } from '../../runtime/host/provider-order.ts';
import { verifyRemote } from './verify-remote.ts';
import { providersOf } from '../../models/store/serving.ts';

/** The check is no hurry; the scan of the machines and the watches' models are. */
const NICENESS = 10;

export type ModelVerification = {
  readonly manifest: AnyManifest;
  /** As of the stored model. */
  readonly sha256: string;
  readonly provider: string;
  readonly fallbacks: readonly ProviderFallback[];
  readonly golden: GoldenReport;
  /** Of the graph, by the provider they ran on; empty on the CPU. */
  readonly nodesByProvider: Readonly<Record<string, number>>;
  /** Undefined where there is nothing to run it on. */
  readonly latency: LatencyFigures | undefined;
};

/**
 * Proves a version of a model as the agent would before it uses it, in a host of its own that ends with the check (or
 * on its server): hash, graph against manifest, golden vectors alone and as a batch, provider really in use, and the
 * time of a run against its deadline once it is warm.
 *
 * @param options.config `directory` absolute.
 * @param options.signal Ends the check, and its host, at once.
 * @throws {ConfigError} model.yaml is wrong.
 * @throws {OperatingError} 'model-file-invalid', 'model-load-failed', 'model-golden-mismatch',
 *   'provider-unavailable', 'host-crashed', 'inference-timeout', 'model-too-slow', and what a remote run fails by.
 */
export async function verifyModel(options: {
  readonly entry: URL;
  readonly config: ModelsConfig;
  readonly model: ModelReference;
  /** 'report' if the version must not be refused for its latency, as at a rollback. */
  readonly ifTooSlow?: 'refuse' | 'report';
  readonly deps: Deps;
  readonly signal?: AbortSignal;
}): Promise<ModelVerification> {
  const { entry, config, model, ifTooSlow = 'refuse', deps, signal } = options;
  const { clock } = deps;
  const stored = await ModelDirectory.of(config).find(model);
  if (stored.manifest.runtime === 'remote') return verifyRemote(stored, { ...options, ifTooSlow });
  const host = new HostProcess(entry, clock, NICENESS);
  const stop = (): void => host.kill('stopped');
  signal?.addEventListener('abort', stop);
  try {
    if (signal?.aborted === true) stop();
    const key = formatModelReference(model);
    const list = { providers: providersOf(config, model.name), givenUp: new Map() };
    const session = await loadOnFirstProvider(list, (candidate) => loadSession(host, key, stored, candidate, config));
    const latency = await checkHostLatency(host, { key, stored, session }, { config, clock, ifTooSlow });
    const { loaded, provider, fallbacks } = session;
    const { golden, nodesByProvider } = loaded;
    const { manifest, sha256 } = stored;
    return { manifest, sha256, provider: provider.name, fallbacks, golden, nodesByProvider, latency };
  } finally {
    signal?.removeEventListener('abort', stop);
    host.kill('stopped');
    await host.exited;
  }
}
