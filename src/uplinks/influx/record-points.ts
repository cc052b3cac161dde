import { type RecordObject, samplesOf } from '../../domain/record/record-object.ts';
import type { FieldValue, Point } from './line-protocol.ts';

const NS_IN_MS = 1_000_000n;

/**
 * Returns the points of a record. Its measurement is the kind of the record.
 *
 * A value that is unknown or bad is omitted: a number of a point is always a measured one. A repeated record gives the same
 * points, which the receiver stores once.
 */
export function recordPoints(agentId: string, record: RecordObject): readonly Point[] {
  if (record.kind === 'sample') return samplePoints(agentId, record);
  const { labels, fields } = shapes[record.kind];
  const point = {
    measurement: record.kind,
    labels: { agent: agentId, ...Object.fromEntries(labels.map((name) => [name, text(record[name])])) },
    fields: fields(record),
    timeNs: record.kind === 'verdict' ? timeNs(record.timestamp_ms) : eventNs(record),
  };
  return [point];
}

type Shape = {
  readonly labels: readonly string[];
  readonly fields: (record: RecordObject) => Readonly<Record<string, FieldValue>>;
};

const shapes: Readonly<Record<Exclude<RecordObject['kind'], 'sample'>, Shape>> = {
  verdict: {
    labels: ['watch'],
    fields: ({ score, threshold, verdict, reason, model, version }) => ({
      score: number(score),
      threshold: number(threshold),
      verdict: text(verdict),
      // For receivers without text.
      abnormal: isTrue[String(verdict)],
      known: verdict !== 'unknown',
      reason: text(reason),
      model: text(model),
      version: whole(version),
    }),
  },
  alarm: {
    labels: ['alarm', 'watch'],
    fields: ({ state, change, priority, message, number: change_number, acknowledged_by: by }) => ({
      state: text(state),
      active: isTrue[String(state)],
      change: text(change),
      priority: text(priority),
      message: text(message),
      number: whole(change_number),
      acknowledged_by: text(by),
    }),
  },
  loss: {
    labels: [],
    fields: ({ records, reason, count, from_ms: fromMs, to_ms: toMs }) => ({
      records: text(records),
      reason: text(reason),
      count: whole(count),
      from_ms: whole(fromMs),
      to_ms: whole(toMs),
    }),
  },
  start: {
    labels: [],
    fields: ({ reason, down_ms: downMs, version }) => ({
      reason: text(reason),
      down_ms: whole(downMs),
      version: text(version),
    }),
  },
  output: {
    labels: ['output'],
    fields: ({ show, outcome, failure, target }) => ({
      show: text(show),
      outcome: text(outcome),
      failure: text(failure),
      target: text(target),
    }),
  },
};

/** Verdicts and alarm states as booleans. The others, such as unknown and shelved, are neither. */
const isTrue: Readonly<Record<string, boolean>> = {
  abnormal: true,
  normal: false,
  unacknowledged: true,
  acknowledged: true,
  'returned-unacknowledged': false,
};

function samplePoints(agentId: string, record: RecordObject): readonly Point[] {
  return samplesOf(record).map(([tag, [value, quality, afterMs = 0]]) => ({
    measurement: 'sample',
    labels: { agent: agentId, tag },
    fields: { value: quality === 'bad' ? undefined : number(value), quality, good: quality === 'good' },
    timeNs: timeNs(record.timestamp_ms + afterMs),
  }));
}

function timeNs(timeMs: number): bigint {
  return BigInt(Math.round(timeMs)) * NS_IN_MS;
}

/** Two events of one millisecond would be one point: the last digits of the sequence make their times differ. */
function eventNs({ id, timestamp_ms: timeMs }: RecordObject): bigint {
  return timeNs(timeMs) + (BigInt(id.slice(id.lastIndexOf('/') + 1)) % NS_IN_MS);
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function whole(value: unknown): FieldValue {
  return typeof value === 'number' ? { whole: value } : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
