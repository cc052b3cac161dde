import type { EpochMs } from '../epoch-ms.ts';

/** How much one tag is to blame for a score. `share` is 0–1; the shares of a verdict add up to 1 or less. */
export type Contribution = { readonly tag: string; readonly share: number };

/** Which model judged, and what it ran on. */
export type JudgedBy = {
  readonly model: string;
  readonly version: number;
  /** ONNX Runtime's execution provider really in use; `remote` where it ran on a server. */
  readonly provider: string;
  /** Why each provider configured before it is not in use; empty where the first choice runs. */
  readonly fallbacks: readonly ProviderFallback[];
};

export type ProviderFallback = { readonly provider: string; readonly reason: string };

/** As the provider of a model that runs on a server. */
export const REMOTE_PROVIDER = 'remote';

/** Whether this model judged in the place of one that runs on a server, which could not. */
export function isFallbackOfRemote({ fallbacks }: JudgedBy): boolean {
  return fallbacks.some(({ provider }) => provider === REMOTE_PROVIDER);
}

/** What one window came to. `unknown` neither raises nor clears an alarm. */
export type Verdict = {
  readonly watch: string;
  /** Time of the window's last grid point. */
  readonly timestampMs: EpochMs;
  readonly verdict: 'normal' | 'abnormal' | 'unknown';
  /** Model output; undefined where nothing could be judged. */
  readonly score: number | undefined;
  readonly threshold: number | undefined;
  /** Why it is unknown, in words for an operator; '' otherwise. */
  readonly reason: string;
  readonly judgedBy: JudgedBy | undefined;
  /** Largest share first; empty where the model explains nothing. */
  readonly contributions: readonly Contribution[];
};
