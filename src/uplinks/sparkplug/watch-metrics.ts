import type { WatchOverview } from '../../contracts/watch-statuses.ts';
import type { AlarmTransition } from '../../domain/alarm/alarm.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { type Verdict, unknownVerdict } from '../../domain/alarm/verdict.ts';
import { dataTypes, type SparkplugMetricDraft } from '../../protocols/sparkplug/sparkplug-payload.ts';

/** Metrics of a verdict, in births and in data. */
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
    // The metric has an empty text for a verdict without a reason.
    metric('Reason', dataTypes.String, reason ?? ''),
  ];
}

export function alarmMetrics({
  alarm,
  watch,
  timestampMs,
  state,
  facts,
  priority,
  message,
}: AlarmTransition): readonly SparkplugMetricDraft[] {
  const metric = metricsOf(watch ?? alarm, timestampMs);
  return [
    metric('Alarm/State', dataTypes.String, state),
    metric('Alarm/Active', dataTypes.Boolean, facts.active),
    metric('Alarm/Priority', dataTypes.String, priority),
    metric('Alarm/Message', dataTypes.String, message),
  ];
}

/** Metrics with their current values; a birth must contain every metric that is sent later. */
export function birthMetrics(
  watches: readonly WatchOverview[],
  alarms: readonly AlarmTransition[],
  nowMs: EpochMs,
): readonly SparkplugMetricDraft[] {
  return [
    ...watches.flatMap(({ watch, lastVerdict }) =>
      verdictMetrics(lastVerdict ?? unknownVerdict(watch, 'no verdict yet', nowMs)),
    ),
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
