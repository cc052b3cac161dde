import type { ModelReference } from '../domain/model-reference.ts';
import { formatModelReference } from '../domain/model-reference.ts';
import type { AnyManifest } from '../contracts/model-manifest.ts';
import type { ProviderFallback } from '../domain/verdict.ts';
import type { Clock } from '../platform/clock.ts';
import type { GoldenReport } from './host-protocol.ts';
import { HostProcess } from './host-process.ts';
import { loadSession } from './load-session.ts';
import { ModelDirectory } from './model-directory.ts';
import type { ModelsConfig } from './models-config.ts';
import { loadOnFirstProvider } from './provider-order.ts';
import { providersOf } from './serving.ts';

export type ModelVerification = {
  readonly manifest: AnyManifest;
  readonly provider: string;
  readonly fallbacks: readonly ProviderFallback[];
  readonly golden: GoldenReport;
  /** Of the graph, by the provider they ran on; empty on the CPU. */
  readonly nodesByProvider: Readonly<Record<string, number>>;
};

/**
 * Proves a version of a model as the agent would before it uses it, in a host of its own that ends with the check:
 * hash, graph against manifest, golden vectors alone and as a batch, provider really in use.
 *
 * @param options.config `directory` absolute.
 * @throws {ConfigError} model.yaml is wrong.
 * @throws {OperatingError} 'model-file-invalid', 'model-load-failed', 'model-golden-mismatch',
 *   'provider-unavailable', 'host-crashed', 'inference-timeout'.
 */
export async function verifyModel(options: {
  readonly entry: URL;
  readonly config: ModelsConfig;
  readonly model: ModelReference;
  readonly clock: Clock;
}): Promise<ModelVerification> {
  const { entry, config, model, clock } = options;
  const stored = await ModelDirectory.of(config).find(model);
  const host = new HostProcess(entry, clock);
  try {
    const { loaded, provider, fallbacks } = await loadOnFirstProvider(
      providersOf(config, model.name),
      new Map(),
      (candidate) => loadSession(host, formatModelReference(model), stored, candidate, config),
    );
    const { golden, nodesByProvider } = loaded;
    return { manifest: stored.manifest, provider: provider.name, fallbacks, golden, nodesByProvider };
  } finally {
    host.kill('stopped');
    await host.exited;
  }
}
