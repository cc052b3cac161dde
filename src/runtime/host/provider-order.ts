import type { ProviderFallback } from '../../domain/alarm/verdict.ts';
import { OperatingError } from '../../platform/errors.ts';
import type { LoadedSession } from '../../contracts/model-session.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import type { ProviderConfig } from '../../models/store/models-config.ts';

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
 * Loads a model on the first provider that proves itself, and returns why each one before it did not.
 *
 * @param attempt Loads on one provider.
 * @throws {OperatingError} 'provider-unavailable' if a required provider or the whole list fails; the
 *   error of the attempt if the model or the host is at fault.
 */
export async function loadOnFirstProvider(
  { providers, givenUp }: ProviderList,
  attempt: (provider: ProviderConfig) => Promise<LoadedSession>,
): Promise<ProvidedSession> {
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
