import type { EpochMs } from '../epoch-ms.ts';
import type { Contribution, Verdict } from '../alarm/verdict.ts';

/** JSON of a verdict, the same for MQTT, server-sent events and HTTP. */
export type VerdictPayload = {
  readonly watch: string;
  readonly timestamp_ms: EpochMs;
  readonly score: number | null;
  readonly threshold: number | null;
  readonly verdict: Verdict['verdict'];
  readonly reason: string;
  readonly model: string | null;
  readonly version: number | null;
  readonly contributions: readonly Contribution[];
  readonly id?: string;
};

/** @param id Id of the record of the verdict; undefined omits it. */
export function verdictPayload(verdict: Verdict, id: string | undefined): VerdictPayload {
  return {
    watch: verdict.watch,
    timestamp_ms: Math.round(verdict.timestampMs),
    score: verdict.score ?? null,
    threshold: verdict.threshold ?? null,
    verdict: verdict.verdict,
    reason: verdict.reason,
    model: verdict.judgedBy?.model ?? null,
    version: verdict.judgedBy?.version ?? null,
    contributions: verdict.contributions,
    ...(id === undefined ? {} : { id }),
  };
}
