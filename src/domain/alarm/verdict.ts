import type { EpochMs } from '../epoch-ms.ts';

/** Contribution of one tag to a score. `share` is 0–1; the shares of a verdict add up to 1 or less. */
export type Contribution = { readonly tag: string; readonly share: number };

/** Model of a verdict, and its execution provider. */
export type JudgedBy = {
  readonly model: string;
  readonly version: number;
  /** Execution provider in use; `remote` if the model ran on a server. */
  readonly provider: string;
  /** Reason for each preferred provider that is not in use; empty if the first one is. */
  readonly fallbacks: readonly ProviderFallback[];
};

export type ProviderFallback = { readonly provider: string; readonly reason: string };

/** Provider of a model that runs on a server. */
export const REMOTE_PROVIDER = 'remote';

/** Returns true if both verdicts are of the same version of the same model. */
export function isSameVersion(a: JudgedBy, b: JudgedBy): boolean {
  return a.model === b.model && a.version === b.version;
}

/** Returns true if this model judged as the fallback of a remote model. */
export function isFallbackOfRemote({ fallbacks }: JudgedBy): boolean {
  return fallbacks.some(({ provider }) => provider === REMOTE_PROVIDER);
}

/**
 * Verdict on one window. `unknown` and `uncertain` neither raise nor clear an alarm.
 *
 * - normal, abnormal: the side of the threshold on which the score is
 * - uncertain: the model estimated missing tags, and found nothing abnormal. That does not prove normal running
 * - unknown: the window was not judged
 */
export type Verdict = {
  readonly watch: string;
  /** Time of the window's last grid point. */
  readonly timestampMs: EpochMs;
  readonly verdict: 'normal' | 'abnormal' | 'uncertain' | 'unknown';
  /** Output of the model; undefined if the window was not judged. */
  readonly score: number | undefined;
  /** Threshold of the score, wider if tags were estimated. */
  readonly threshold: number | undefined;
  /** Tags without good values that the model estimated from the other tags; undefined if none. */
  readonly imputed?: readonly string[];
  /** Reason for `unknown`, or for estimated tags, for an operator; undefined otherwise. */
  readonly reason: string | undefined;
  readonly judgedBy: JudgedBy | undefined;
  /** Largest share first; empty if the model has no contributions. */
  readonly contributions: readonly Contribution[];
};

/** Returns an unknown verdict that belongs to no window. */
export function unknownVerdict(watch: string, reason: string | undefined, timestampMs: EpochMs): Verdict {
  return {
    watch,
    timestampMs,
    verdict: 'unknown',
    score: undefined,
    threshold: undefined,
    reason,
    judgedBy: undefined,
    contributions: [],
  };
}
