import type { WatchOverview } from '../../contracts/watch-statuses.ts';
import type { AlarmTransition } from '../../domain/alarm/alarm.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { Verdict } from '../../domain/alarm/verdict.ts';
import type { SparkplugMetricDraft } from '../../protocols/sparkplug/sparkplug-payload.ts';
import { dataTypes } from '../../protocols/sparkplug/sparkplug-payload.ts';

/** What a verdict tells; in a birth and in data alike. */
export function verdictMetrics({
  watch,
  timestampMs,
  verdict,
  score,
  threshold,
  reason,
}: Verdict): readonly SparkplugMetricDraft[] {
  const metric = metricsOf(watch, timestampMs);
  return [
    metric('Verdict', dataTypes.String, verdict),
    metric('Score', dataTypes.Double, score),
    metric('Threshold', dataTypes.Double, threshold),
    metric('Reason', dataTypes.String, reason),
  ];
}

export function alarmMetrics({
  watch,
  timestampMs,
  state,
  facts,
  priority,
  message,
}: AlarmTransition): readonly SparkplugMetricDraft[] {
  const metric = metricsOf(watch, timestampMs);
  return [
    metric('Alarm/State', dataTypes.String, state),
    metric('Alarm/Active', dataTypes.Boolean, facts.active),
    metric('Alarm/Priority', dataTypes.String, priority),
    metric('Alarm/Message', dataTypes.String, message),
  ];
}

/** Everything that there is to know now: each metric that ever comes is in the birth. */
export function birthMetrics(
  watches: readonly WatchOverview[],
  alarms: readonly AlarmTransition[],
  nowMs: EpochMs,
): readonly SparkplugMetricDraft[] {
  return [
    ...watches.flatMap(({ watch, lastVerdict }) => verdictMetrics(lastVerdict ?? nothingYet(watch, nowMs))),
    ...alarms.flatMap(alarmMetrics),
  ];
}

function metricsOf(watch: string, timestampMs: EpochMs) {
  return (name: string, dataType: number, value: SparkplugMetricDraft['value']): SparkplugMetricDraft => ({
    name: `${watch}/${name}`,
    timestampMs,
    dataType,
    value,
  });
}

function nothingYet(watch: string, timestampMs: EpochMs): Verdict {
  return {
    watch,
    timestampMs,
    verdict: 'unknown',
    score: undefined,
    threshold: undefined,
    reason: 'no verdict yet',
    judgedBy: undefined,
    contributions: [],
  };
}
