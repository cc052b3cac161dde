import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ExecutionProvider, executionProviders } from '../contracts/inference.ts';
import { ModelDirectory } from '../models/store/model-directory.ts';
import { type ModelsConfig, modelsConfigSchema } from '../models/store/models-config.ts';
import type { Deps } from '../platform/deps.ts';
import { ConfigError, OperatingError } from '../platform/errors.ts';
import { checkFallback, type Recovery } from './fallback-check.ts';
import { writeFamilyModels } from './family-models.ts';
import { type GpuFacts, gpuFacts } from './gpu-facts.ts';
import { type CheckedModel, checkProvider, type ModelCheck, type Reference } from './provider-check.ts';

export type ProviderReport = {
  readonly provider: ExecutionProvider;
  /** Why no model runs on it; undefined if at least one does. */
  readonly reason: string | undefined;
  readonly models: readonly ModelCheck[];
  /** After each kill of the host; undefined for the CPU and for a provider that does not work. */
  readonly recoveries: readonly Recovery[] | undefined;
};

/** Facts and results that a support engineer needs. */
export type GpuReport = {
  readonly time: string;
  readonly box: GpuFacts;
  readonly providers: readonly ProviderReport[];
  /** True if every provider that works gives the results of the CPU and falls back to it. */
  readonly ok: boolean;
};

export type ProviderCheckOptions = {
  /** Model directories, each with the keys that its versions must be signed with. */
  readonly models: readonly Pick<ModelsConfig, 'directory' | 'trust'>[];
  /** True to train and check one model of each algorithm too; takes about 30 s. */
  readonly family: boolean;
  readonly entry: URL;
  readonly deps: Deps;
  readonly onProgress: (text: string) => void;
};

/** Runs models on every execution provider, compares them with the CPU, measures them, and kills each provider's host. */
export async function checkProviders(options: ProviderCheckOptions): Promise<GpuReport> {
  const { deps, family, onProgress } = options;
  const trained = await mkdtemp(join(tmpdir(), 'andon-gpu-'));
  try {
    if (family) {
      onProgress('training one model of each algorithm');
      await writeFamilyModels(trained);
    }
    const models = (
      await Promise.all([...options.models, { directory: trained }].map((one) => modelsIn(one, onProgress)))
    ).flat();
    const reference: Reference = new Map();
    const providers: ProviderReport[] = [];
    // The CPU first: it is the reference.
    for (const provider of executionProviders.toReversed()) {
      onProgress(`${provider}: ${models.length} models`);
      providers.push(await reportOn(provider, models, reference, options));
    }
    return {
      time: new Date(deps.clock.nowMs()).toISOString(),
      box: await gpuFacts(),
      providers,
      ok: providers.every(isGood),
    };
  } finally {
    await rm(trained, { recursive: true, force: true });
  }
}

/** A missing provider is not a fault: the agent uses the next one of its list. */
function isGood({ provider, reason, models, recoveries }: ProviderReport): boolean {
  if (reason !== undefined) return provider !== 'cpu';
  const recovers = (recoveries ?? []).every(({ provider: used }) => used !== undefined);
  return recovers && models.every(({ state }) => state !== 'failed');
}

async function reportOn(
  provider: ExecutionProvider,
  models: readonly CheckedModel[],
  reference: Reference,
  options: ProviderCheckOptions,
): Promise<ProviderReport> {
  const checks = await checkProvider(provider, models, reference, { entry: options.entry, clock: options.deps.clock });
  const first = models.find((_, index) => checks[index]?.figures !== undefined);
  if (first === undefined)
    return { provider, reason: checks[0]?.reason ?? 'no model was found', models: [], recoveries: undefined };
  const recoveries = provider === 'cpu' ? undefined : await checkFallback(provider, first, options);
  return { provider, reason: undefined, models: checks, recoveries };
}

/** Returns the versions that run in a host: without those on a server, and without those that cannot be used. */
async function modelsIn(
  { directory, trust }: ProviderCheckOptions['models'][number],
  onProgress: (text: string) => void,
): Promise<readonly CheckedModel[]> {
  const config: ModelsConfig = { ...modelsConfigSchema.parse({ directory, deadline: '60s' }), trust };
  const models = ModelDirectory.of(config);
  const found: CheckedModel[] = [];
  for (const name of await models.names())
    for (const version of await models.versions(name)) {
      try {
        const stored = await models.find({ name, version });
        if (stored.manifest.remote === undefined) found.push({ stored, config });
      } catch (error) {
        if (!(error instanceof ConfigError || error instanceof OperatingError)) throw error;
        onProgress(`${name}@${version} is left out: ${error.message}`);
      }
    }
  return found;
}
