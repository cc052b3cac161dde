import { formatDuration } from '../../domain/duration.ts';
import type { ModelsConfig, ProviderConfig } from '../../models/store/models-config.ts';

/** Times that a GPU may take the host down, within the quarantine's period, before the next provider is used. */
const PROVIDER_CRASHES_MAX = 2;

/** Counts how often a model took its host down, and decides on another provider or quarantine. */
export class CrashRecord {
  /** In order of preference. */
  readonly providers: readonly ProviderConfig[];
  readonly #quarantine: ModelsConfig['quarantine'];
  readonly #givenUp = new Map<string, string>();
  /** Monotonic times within the period. */
  #timesMs: readonly number[] = [];

  constructor(quarantine: ModelsConfig['quarantine'], providers: readonly ProviderConfig[]) {
    this.#quarantine = quarantine;
    this.providers = providers;
  }

  /** Reasons of the providers that were given up since the start. */
  get givenUp(): ReadonlyMap<string, string> {
    return this.#givenUp;
  }

  /**
   * @param provider Provider that it was loading or running on.
   * @param nowMs Monotonic.
   * @returns Reason for quarantine; undefined if it is not due.
   */
  note(provider: string | undefined, reason: string, nowMs: number): string | undefined {
    const { crashes, periodMs } = this.#quarantine;
    this.#timesMs = [...this.#timesMs.filter((timeMs) => nowMs - timeMs < periodMs), nowMs];
    const count = this.#timesMs.length;
    const text = `took the host down ${count} times within ${formatDuration(periodMs)}, last: ${reason}`;
    if (provider !== undefined && this.#mayFallBackFrom(provider) && count >= PROVIDER_CRASHES_MAX) {
      this.#givenUp.set(provider, text);
      // Crashes of this provider do not count against the next one.
      this.#timesMs = [];
      return undefined;
    }
    if (count < crashes) return undefined;
    // One more crash after the next try is enough for quarantine.
    this.#timesMs = this.#timesMs.slice(count - (crashes - 1));
    return text;
  }

  #mayFallBackFrom(provider: string): boolean {
    const index = this.providers.findIndex(({ name }) => name === provider);
    const isLast = index === this.providers.length - 1;
    return provider !== 'cpu' && index >= 0 && !isLast && this.providers[index]?.required === false;
  }
}
