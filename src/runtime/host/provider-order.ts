import type { ProviderFallback } from '../../domain/alarm/verdict.ts';
import { OperatingError } from '../../platform/errors.ts';
import type { LoadedSession } from '../../contracts/model-session.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelsConfig, ProviderConfig } from '../../models/store/models-config.ts';
import { servingOf } from '../../models/store/serving.ts';
import type { HostProcess } from './host-process.ts';

export type ProvidedSession = {
  readonly loaded: LoadedSession;
  readonly provider: ProviderConfig;
  readonly fallbacks: readonly ProviderFallback[];
};

/** Providers in order of preference, and why some of them are not tried: they took the host down. */
export type ProviderList = {
  readonly providers: readonly ProviderConfig[];
  readonly givenUp: ReadonlyMap<string, string>;
};

/** Errors that one provider may cause while another works; any other error is the fault of the model. */
const providerFaults: ReadonlySet<string> = new Set([
  'provider-unavailable',
  'model-golden-mismatch',
  'model-output-invalid',
  'model-run-failed',
]);

/**
 * Loads a model in a host on the first provider that proves itself, and returns why each one before it did not.
 *
 * @param key Name of its session in the host.
 * @param onAttempt Called before each attempt.
 * @throws {OperatingError} 'provider-unavailable' if a required provider or the whole list fails; the
 *   error of the attempt if the model or the host is at fault.
 */
export async function loadOnFirstProvider(
  host: HostProcess,
  key: string,
  stored: StoredModel,
  { providers, givenUp }: ProviderList,
  config: ModelsConfig,
  onAttempt: (provider: ProviderConfig) => void = () => undefined,
): Promise<ProvidedSession> {
  const attempt = (provider: ProviderConfig) => {
    onAttempt(provider);
    return loadSession(host, key, stored, provider, config);
  };
  const fallbacks: ProviderFallback[] = [];
  for (const provider of providers) {
    const reason = givenUp.get(provider.name);
    const outcome = reason === undefined ? await tried(provider, attempt) : reason;
    if (typeof outcome !== 'string') return { loaded: outcome, provider, fallbacks };
    if (provider.required)
      throw inferenceFailure('provider-unavailable', `${provider.name} is required, but: ${outcome}`);
    fallbacks.push({ provider: provider.name, reason: outcome });
  }
  throw inferenceFailure('provider-unavailable', `No provider of the list can be used. ${fallbackText(fallbacks)}`);
}

async function tried(
  provider: ProviderConfig,
  attempt: (provider: ProviderConfig) => Promise<LoadedSession>,
): Promise<LoadedSession | string> {
  try {
    return await attempt(provider);
  } catch (error) {
    // The CPU provider is the reference: what fails there is the model.
    if (error instanceof OperatingError && provider.name !== 'cpu' && providerFaults.has(error.code))
      return error.message;
    throw error;
  }
}

/** `cuda: library missing; webgpu: no adapter`. */
export function fallbackText(fallbacks: readonly ProviderFallback[]): string {
  return fallbacks.map(({ provider, reason }) => `${provider}: ${reason}`).join('; ');
}

/** Loads a model in a host on one provider, which proves it. @throws {OperatingError} As the host does. */
export async function loadSession(
  host: HostProcess,
  key: string,
  model: StoredModel,
  provider: ProviderConfig,
  config: ModelsConfig,
): Promise<LoadedSession> {
  return host.call(
    'load',
    {
      key,
      model,
      directory: config.directory,
      modelBytesMax: config.maxModelSizeBytes,
      stagingDirectory: await host.stagingDirectory,
      provider,
      intraOpThreads: servingOf(config, model.manifest).intraOpThreads,
    },
    config.loadDeadlineMs,
  );
}
