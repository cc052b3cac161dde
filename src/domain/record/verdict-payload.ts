import { coded, type UnknownReasonCode } from '../alarm/unknown-reasons.ts';
import type { Verdict } from '../alarm/verdict.ts';

/**
 * Returns a verdict as JSON, the same for MQTT, server-sent events and HTTP.
 *
 * @param id Id of the record of the verdict; undefined omits it.
 */
export function verdictPayload(verdict: Verdict, id: string | undefined) {
  return {
    watch: verdict.watch,
    timestamp_ms: Math.round(verdict.timestampMs),
    score: verdict.score ?? null,
    threshold: verdict.threshold ?? null,
    verdict: verdict.verdict,
    // The JSON has an empty text for a verdict without a reason.
    reason: verdict.reason ?? '',
    ...codedReason(verdict.reason),
    model: verdict.judgedBy?.model ?? null,
    version: verdict.judgedBy?.version ?? null,
    contributions: verdict.contributions,
    ...(verdict.imputed === undefined ? {} : { imputed: verdict.imputed }),
    ...(id === undefined ? {} : { id }),
  };
}

/** Returns code and parameters of a reason as JSON; empty if the reason has no code. */
export function codedReason(reason: string | undefined): {
  readonly reason_code?: UnknownReasonCode;
  readonly reason_parameters?: Readonly<Record<string, string>>;
} {
  const found = reason === undefined ? undefined : coded(reason);
  return found === undefined ? {} : { reason_code: found.code, reason_parameters: found.parameters };
}
