import type { EpochMs } from '../../domain/epoch-ms.ts';
import { takenAt } from '../../domain/sample/quality-gate.ts';
import { BAD, GOOD, type QualityCode, type QualityReason, UNCERTAIN } from '../../domain/sample/quality.ts';
import type { SampleBatch } from '../../domain/sample/sample-batch.ts';
import type { SparkplugMetric } from '../../protocols/sparkplug/sparkplug-payload.ts';
import type { BornMetric } from './edge-node.ts';
import { metricNumber } from './metric-number.ts';

export type MetricArrival = {
  readonly timeMs: EpochMs;
  /** Time of the payload, for metrics without a time. */
  readonly sentMs: EpochMs | undefined;
  readonly futureToleranceMs: number;
};

/** 2000-01-01. A time before it is from a device with an unset clock. */
const EPOCH_MS_MIN = 946_684_800_000;

/** Adds one sample for each tag of the metric. */
export function addSamples(
  batch: SampleBatch,
  metric: SparkplugMetric,
  { tags, dataType }: BornMetric,
  arrival: MetricArrival,
): void {
  const number = metricNumber(metric.value, metric.dataType ?? dataType);
  const sentMs = metric.timestampMs ?? arrival.sentMs ?? arrival.timeMs;
  const isTime = sentMs >= EPOCH_MS_MIN;
  const takenMs = takenAt(sentMs, arrival.timeMs, arrival.futureToleranceMs);
  const timeMs = isTime && takenMs !== undefined ? takenMs : arrival.timeMs;
  const marked = markedQuality(metric.quality);
  for (const { tag, scale, offset } of tags) {
    const value = number === undefined ? Number.NaN : number.value * scale + offset;
    if (marked === BAD) batch.add(tag, value, timeMs, BAD, 'marked-not-good');
    else if (number === undefined) batch.add(tag, value, timeMs, BAD, 'payload-invalid');
    else if (!Number.isFinite(value)) batch.add(tag, value, timeMs, BAD, 'not-finite');
    else {
      const doubt = doubtOf(marked, number.isExact, takenMs === undefined, !isTime);
      batch.add(tag, value, timeMs, doubt === 'none' ? GOOD : UNCERTAIN, doubt);
    }
  }
}

function doubtOf(marked: QualityCode, isExact: boolean, inFuture: boolean, isNoTime: boolean): QualityReason {
  if (marked === UNCERTAIN) return 'marked-not-good';
  if (!isExact) return 'precision-lost';
  if (inFuture) return 'time-in-future';
  return isNoTime ? 'time-invalid' : 'none';
}

/** @see Sparkplug 3.0, section 6.4.18: 0 is bad, 192 good, 500 stale. */
function markedQuality(quality: number | undefined): QualityCode {
  if (quality === undefined || (quality >= 192 && quality <= 255)) return GOOD;
  return quality >= 64 && quality < 192 ? UNCERTAIN : BAD;
}
