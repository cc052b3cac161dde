import { describe, expect, test } from 'vitest';
import { QualityGate, takenAt } from '../../src/domain/sample/quality-gate.ts';
import {
  BAD,
  GOOD,
  type QualityCode,
  qualityOf,
  type QualityReason,
  reasonOf,
  UNCERTAIN,
} from '../../src/domain/sample/quality.ts';
import { SampleBatch } from '../../src/domain/sample/sample-batch.ts';
import type { Tag } from '../../src/domain/sample/tag.ts';

const tags: readonly Tag[] = [
  { name: 'pressure', unit: 'bar', range: [0, 16], deadband: 0.5, number: 0, source: 'plc' },
  { name: 'count', unit: '', range: undefined, deadband: 0, number: 1, source: 'plc' },
  {
    name: 'flow',
    unit: 'm3/h',
    range: undefined,
    deadband: 0,
    stuck: { afterMs: 1000, band: 0.1 },
    number: 2,
    source: 'plc',
  },
];
const nowMs = Date.UTC(2026, 0, 1);

type Read = {
  readonly tag?: number;
  readonly value: number;
  readonly timeMs?: number;
  readonly quality?: QualityCode;
  readonly reason?: QualityReason;
};

/** Passes each sample as a batch of its own and returns the results. */
function gated(...reads: readonly Read[]) {
  const gate = new QualityGate(tags);
  const to = new SampleBatch(1);
  const reported = new Uint8Array(1);
  return reads.map(({ tag = 0, value, timeMs = nowMs, quality = GOOD, reason = 'none' }) => {
    const from = new SampleBatch(1);
    from.add(tag, value, timeMs, quality, reason);
    gate.pass(from, nowMs, to, reported);
    return {
      value: to.values[0],
      timeMs: to.timesMs[0],
      quality: qualityOf(to.qualities[0] ?? 2),
      reason: reasonOf(to.reasons[0] ?? 0),
      reported: reported[0] === 1,
    };
  });
}

describe('the quality of a value', () => {
  test.each([-60_000, 0, 1000, 1001, 4000, 5000])(
    'a time %i ms ahead that its source accepts is also good here',
    (aheadMs) => {
      const timeMs = takenAt(nowMs + aheadMs, nowMs, 5000);
      expect(gated({ value: 1, timeMs: timeMs ?? Number.NaN })[0]).toMatchObject({ quality: 'good', reason: 'none' });
      expect(takenAt(nowMs + 5001, nowMs, 5000)).toBe(undefined);
    },
  );

  test.each([
    ['in range', { value: 16 }, 'good', 'none'],
    ['above range', { value: 16.01 }, 'uncertain', 'out-of-range'],
    ['below range', { value: -0.01 }, 'uncertain', 'out-of-range'],
    ['not a number', { value: Number.NaN }, 'bad', 'not-finite'],
    ['infinite', { value: -Infinity }, 'bad', 'not-finite'],
    ['infinite in float32', { tag: 1, value: 1e39 }, 'bad', 'not-finite'],
    ['from the future', { value: 1, timeMs: nowMs + 1001 }, 'uncertain', 'time-in-future'],
    ['ahead by no more than a second', { value: 1, timeMs: nowMs + 1000 }, 'good', 'none'],
    ['without a time', { value: 1, timeMs: Number.NaN }, 'bad', 'time-invalid'],
    ['before 1970', { value: 1, timeMs: -1 }, 'bad', 'time-invalid'],
    [
      'uncertain at its source',
      { value: 1, quality: UNCERTAIN, reason: 'precision-lost' },
      'uncertain',
      'precision-lost',
    ],
    ['bad at its source, and in range', { value: 1, quality: BAD, reason: 'timeout' }, 'bad', 'timeout'],
    [
      'bad at its source, with an invalid time',
      { value: 1, quality: BAD, reason: 'timeout', timeMs: Infinity },
      'bad',
      'timeout',
    ],
  ] as const)('a value %s', (_, read, quality, reason) => {
    expect(gated(read)[0]).toMatchObject({ quality, reason });
  });

  test('an invalid time is replaced by the current time, so that it cannot stop the windows', () => {
    expect(gated({ value: 1, timeMs: 9e15 })[0]?.timeMs).toBe(nowMs);
  });
});

describe('a sensor that is stuck', () => {
  const flow = (value: number, afterMs: number, quality: QualityCode = GOOD): Read => ({
    tag: 2,
    value,
    timeMs: nowMs - 10_000 + afterMs,
    quality,
  });
  const qualitiesOf = (...reads: readonly Read[]) =>
    gated(...reads).map(({ quality, reason }) => (quality === 'good' ? quality : reason));

  test('is uncertain when its value did not change for the configured time, and good again after a change', () => {
    expect(qualitiesOf(flow(5, 0), flow(5, 999), flow(5, 1000), flow(5, 5000), flow(6, 5100))).toEqual([
      'good',
      'good',
      'stuck',
      'stuck',
      'good',
    ]);
  });

  test('stays stuck with noise within its band', () => {
    expect(qualitiesOf(flow(5, 0), flow(5.05, 500), flow(4.95, 900), flow(5.05, 1200), flow(5.2, 1300))).toEqual([
      'good',
      'good',
      'good',
      'stuck',
      'good',
    ]);
  });

  test('restarts its time after a bad sample', () => {
    expect(qualitiesOf(flow(5, 0), flow(5, 900, BAD), flow(5, 1000), flow(5, 1900), flow(5, 2000)).slice(2)).toEqual([
      'good',
      'good',
      'stuck',
    ]);
  });

  test('is not detected without stuckAfter', () => {
    expect(gated({ value: 5, timeMs: nowMs - 9_999_999 }, { value: 5 }).at(-1)).toMatchObject({ quality: 'good' });
  });
});

describe('report by exception', () => {
  test('a change smaller than the deadband keeps the last reported value and takes the new time', () => {
    const [, second] = gated({ value: 1, timeMs: nowMs - 10 }, { value: 1.49, timeMs: nowMs });
    expect(second).toMatchObject({ value: 1, timeMs: nowMs, reported: false });
  });

  test('slow drift is reported when it adds up to the deadband', () => {
    const values = gated(...[1, 1.3, 1.6, 1.9, 2.2].map((value) => ({ value }))).map(({ value }) => value);
    expect(values).toEqual([1, 1, 1.6, 1.6, 2.2]);
  });

  test('without a deadband every change is reported, and a repeat is not', () => {
    const reads = [7, 7, 8].map((value) => ({ tag: 1, value }));
    expect(gated(...reads).map(({ reported }) => reported)).toEqual([true, false, true]);
  });

  test('a change of quality is always reported, with the value as read', () => {
    const reads = gated({ value: 1 }, { value: 1, quality: BAD, reason: 'timeout' }, { value: 1.2 });
    expect(reads.map(({ value, reported }) => [value, reported])).toEqual([
      [1, true],
      [1, true],
      [1.2, true],
    ]);
  });
});

test('a value outside its range by less than the deadband is not replaced by the last good one', () => {
  const reads = gated({ value: 16 }, { value: 16.01 }, { value: 15.9 });
  expect(reads.map(({ value, quality }) => [value, quality])).toEqual([
    [16, 'good'],
    [16.01, 'uncertain'],
    [15.9, 'good'],
  ]);
});

test('a bad sample is not changed', () => {
  const reads = [1, 1.2].map((value) => ({ value, quality: BAD, reason: 'timeout' }) as const);
  expect(gated(...reads).map(({ value }) => value)).toEqual([1, 1.2]);
});

test('a batch passes in order, and only samples without a tag are left out', () => {
  const from = new SampleBatch(3);
  from.add(1, 5, nowMs, GOOD, 'none');
  from.add(3, 6, nowMs, GOOD, 'none');
  from.add(0, 7, nowMs, GOOD, 'none');
  const to = new SampleBatch(3);
  expect(new QualityGate(tags).pass(from, nowMs, to, new Uint8Array(3))).toBe(1);
  expect([to.length, [...to.tags.subarray(0, 2)], [...to.values.subarray(0, 2)]]).toEqual([2, [1, 0], [5, 7]]);
});
