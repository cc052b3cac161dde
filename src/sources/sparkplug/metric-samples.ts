import type { EpochMs } from '../../domain/epoch-ms.ts';
import { takenAt } from '../../domain/sample/quality-gate.ts';
import { BAD, GOOD, type QualityCode, type QualityReason, UNCERTAIN } from '../../domain/sample/quality.ts';
import type { SampleBatch } from '../../domain/sample/sample-batch.ts';
import { plausibleEpochMs } from '../../domain/time-unit.ts';
import type { SparkplugMetric } from '../../protocols/sparkplug/sparkplug-payload.ts';
import { readQuality } from '../quality-code.ts';
import type { BornMetric } from './birth.ts';
import { metricNumber } from './metric-number.ts';

export type MetricArrival = {
  readonly timeMs: EpochMs;
  /** Time of the payload as sent, for metrics without a time. */
  readonly sent: number | undefined;
  readonly futureToleranceMs: number;
};

/** Quality of a value that was good and is no longer updated. @see Sparkplug 3.0, section 6.4.18. */
const STALE = 500;

/**
 * Adds one sample for each tag of the metric.
 *
 * @returns What is wrong with the content of the metric, as text for the operator; undefined if nothing is.
 */
export function addSamples(
  batch: SampleBatch,
  metric: SparkplugMetric,
  { tags, dataType }: BornMetric,
  arrival: MetricArrival,
): string | undefined {
  const sent = metric.timestamp ?? arrival.sent;
  const stamp = stampOf(sent, arrival);
  const marked = markedQuality(metric.quality);
  let fault: string | undefined;
  for (const { tag, scale, offset, map } of tags) {
    const number = metricNumber(metric.value, metric.dataType ?? dataType, map);
    const value = number.value === undefined ? Number.NaN : number.value * scale + offset;
    const add = (quality: QualityCode, reason: QualityReason, text: string | undefined) => {
      batch.add(tag, value, stamp.timeMs, quality, reason);
      fault ??= text;
    };
    if (marked === BAD) add(BAD, 'marked-not-good', `the sender marks it with quality ${metric.quality}`);
    else if (number.value === undefined) add(BAD, 'payload-invalid', `expected a number, found ${number.found}`);
    else if (!Number.isFinite(value)) add(BAD, 'not-finite', `the value is ${value}`);
    else if (marked === UNCERTAIN)
      add(UNCERTAIN, 'marked-not-good', `the sender marks it with quality ${metric.quality}`);
    else if (!number.isExact)
      add(UNCERTAIN, 'precision-lost', `the integer ${number.value} has more digits than a double can hold`);
    else add(stamp.reason === 'none' ? GOOD : UNCERTAIN, stamp.reason, stamp.fault);
  }
  return fault;
}

type Stamp = { readonly timeMs: EpochMs; readonly reason: QualityReason; readonly fault: string | undefined };

function stampOf(sent: number | undefined, { timeMs, futureToleranceMs }: MetricArrival): Stamp {
  if (sent === undefined) return { timeMs, reason: 'none', fault: undefined };
  const sentMs = plausibleEpochMs(sent);
  if (sentMs === undefined)
    return { timeMs, reason: 'time-invalid', fault: `expected a time in epoch milliseconds, found ${sent}` };
  const takenMs = takenAt(sentMs, timeMs, futureToleranceMs);
  if (takenMs !== undefined) return { timeMs: takenMs, reason: 'none', fault: undefined };
  const fault = `expected a time no further ahead than futureTolerance, found ${sent}`;
  return { timeMs, reason: 'time-in-future', fault };
}

/** An unknown code is uncertain. */
function markedQuality(quality: number | undefined): QualityCode {
  return quality === STALE ? BAD : (readQuality(quality, 'opcda') ?? UNCERTAIN);
}
