import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AHEAD_MS_MAX } from '../../../src/domain/sample/quality-gate.ts';
import { qualityOf, reasonOf } from '../../../src/domain/sample/quality.ts';
import { decodeMessage } from '../../../src/sources/mqtt/message-decode.ts';
import { mqttKind } from '../../../src/sources/mqtt/mqtt-kind.ts';
import { TopicRouter } from '../../../src/sources/mqtt/topic-router.ts';

const NOW_MS = Date.UTC(2026, 5, 1, 12);
const TOLERANCE_MS = 5000;

/** The sample of the one tag of a topic. */
function decode(payload: string | Buffer, tag: Record<string, unknown> = {}, retain = false) {
  return decodeAll(payload, { t: tag }, retain)[0];
}

function decodeAll(payload: string | Buffer, tags: Record<string, Record<string, unknown>>, retain = false) {
  const entries = Object.entries(tags).map(([name, tag]) => [name, { topic: 'a', ...tag }]);
  const config = mqttKind.schema.parse({ type: 'mqtt', url: 'mqtt://b', tags: Object.fromEntries(entries) });
  const numbers = new Map(Object.keys(tags).map((name, index) => [name, index]));
  const router = new TopicRouter({ config, tagNumbers: numbers, bindTag: () => 'too-many' });
  const plan = router.find('a', () => undefined);
  if (plan === undefined) throw new Error('No plan for the topic');
  const samples: { value: number; timeMs: number; quality: string; reason: string }[] = [];
  const arrival = { timeMs: NOW_MS, retain, futureToleranceMs: TOLERANCE_MS };
  const fault = decodeMessage(plan, Buffer.from(payload), arrival, (batch) => {
    for (let index = 0; index < batch.length; index += 1)
      samples.push({
        value: batch.values[index] ?? Number.NaN,
        timeMs: batch.timesMs[index] ?? Number.NaN,
        quality: qualityOf(batch.qualities[index] ?? 2),
        reason: reasonOf(batch.reasons[index] ?? 0),
      });
  });
  return samples.map((sample) => ({ ...sample, fault: fault?.text ?? '' }));
}

describe('a payload that is the value', () => {
  test('every finite number is decoded to the same value', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(decode(`${value}`)).toMatchObject({ value: value === 0 ? 0 : value, quality: 'good', timeMs: NOW_MS });
      }),
    );
  });

  test.each([
    ['true', 1],
    ['false', 0],
    ['+1.', 1],
    ['.5', 0.5],
    [' 12.5\r\n', 12.5],
    ['-3e2', -300],
  ])('%j is %d', (payload, value) => {
    expect(decode(payload)).toMatchObject({ value, quality: 'good', reason: 'none' });
  });

  test.each(['NaN', 'nan', '-inf', 'Infinity'])('%j is not finite', (payload) => {
    expect(decode(payload)).toMatchObject({ quality: 'bad', reason: 'not-finite' });
  });

  test.each(['', ' ', '1,5', '0x10', '12 bar', '1e', '--1', '{"v":1}', 'null', '1'.repeat(65)])(
    '%j is not a number, and bad',
    (payload) => {
      expect(decode(payload)).toMatchObject({
        value: Number.NaN,
        quality: 'bad',
        reason: 'payload-invalid',
        fault: `t: expected a number, found ${JSON.stringify(payload.trim().slice(0, 40))}`,
      });
    },
  );

  test.each([
    ['9007199254740991', 'good'],
    ['9007199254740992', 'good'],
    ['9007199254740993', 'uncertain'],
    ['-18446744073709551615', 'uncertain'],
    ['0.30000000000000004441', 'good'],
    ['1e300', 'good'],
    ['100000000000000000000', 'good'],
  ])('the number %s is %s, in JSON as well: a 64-bit integer may be rounded, a float may not', (payload, quality) => {
    const reason = quality === 'good' ? 'none' : 'precision-lost';
    expect(decode(payload)).toMatchObject({ value: Number(payload), quality, reason });
    expect(decode(`{"v":[${payload}]}`, { value: '$.v[0]' })).toMatchObject({
      value: Number(payload),
      quality,
      reason,
    });
    expect(decode(`{"v":"${payload}"}`, { value: '$.v' })).toMatchObject({ value: Number(payload), quality, reason });
  });

  test('scale and offset turn it into engineering units', () => {
    expect(decode('120', { scale: 0.1, offset: -4 })).toMatchObject({ value: 8 });
  });

  test('a number that scaling makes infinite is bad', () => {
    expect(decode('1e308', { scale: 1000 })).toMatchObject({ quality: 'bad', reason: 'not-finite' });
    expect(decode('1e999')).toMatchObject({ quality: 'bad', reason: 'not-finite' });
  });
});

describe('a JSON payload', () => {
  test('has every tag of its topic; a missing value makes only its own tag bad', () => {
    const payload = JSON.stringify({ rms: 1.5, motor: { on: true, amps: ['2.25'] } });
    const samples = decodeAll(payload, {
      rms: { value: '$.rms' },
      on: { value: '$.motor.on' },
      amps: { value: '$.motor.amps[0]' },
      absent: { value: '$.motor.volts' },
    });
    expect(samples.map(({ value }) => value)).toEqual([1.5, 1, 2.25, Number.NaN]);
    expect(samples.map(({ reason }) => reason)).toEqual(['none', 'none', 'none', 'payload-invalid']);
    expect(samples[0]?.fault).toBe(
      'absent: expected a number at $.motor.volts, found nothing; for payloads that have only what changed set missing: keep',
    );
  });

  test.each([['null'], ['"on"'], ['{}'], ['[1]'], ['""']])('a value of %s is bad', (value) => {
    expect(decode(`{"v":${value}}`, { value: '$.v' })).toMatchObject({ quality: 'bad', reason: 'payload-invalid' });
  });

  test.each(['{"v":', '', '\u0000', '{"v":1}}'])('%j is not JSON', (payload) => {
    expect(decode(payload, { value: '$.v' })).toMatchObject({
      reason: 'payload-invalid',
      fault: expect.stringMatching(/^t: the payload is not JSON: .+/) as string,
    });
  });

  test('arbitrary bytes give one sample for each tag, good only with a finite value', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json()), (payload) => {
        const bytes = typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(payload);
        const samples = decodeAll(bytes, { plain: {}, path: { value: '$[0]', time: '$[1]' } });
        expect(samples).toHaveLength(2);
        for (const { value, quality, timeMs } of samples) {
          expect(Number.isFinite(timeMs)).toBe(true);
          expect(quality === 'bad' || Number.isFinite(value)).toBe(true);
        }
      }),
    );
  });
});

describe('the time of a payload', () => {
  const at = (time: unknown, retain = false) =>
    decode(JSON.stringify({ v: 1, t: time }), { value: '$.v', time: '$.t' }, retain);

  test('an ISO time with any zone is the same instant as its epoch milliseconds', () => {
    const instant = fc.integer({ min: Date.UTC(2000, 0, 2), max: NOW_MS - 1 });
    fc.assert(
      fc.property(instant, fc.integer({ min: -14 * 60, max: 14 * 60 }), (timeMs, zoneMinutes) => {
        const local = new Date(timeMs + zoneMinutes * 60_000).toISOString().slice(0, -1);
        const two = (part: number): string => String(Math.floor(part)).padStart(2, '0');
        const zone = `${zoneMinutes < 0 ? '-' : '+'}${two(Math.abs(zoneMinutes) / 60)}:${two(Math.abs(zoneMinutes) % 60)}`;
        expect(at(`${local}${zone}`)).toMatchObject({ timeMs, quality: 'good' });
        expect(at(timeMs)).toMatchObject({ timeMs, quality: 'good' });
        expect(at(String(timeMs))).toMatchObject({ timeMs, quality: 'good' });
      }),
    );
  });

  test('fractions below a millisecond are kept', () => {
    expect(at('2026-05-01T10:00:00.123456Z')?.timeMs).toBeCloseTo(Date.UTC(2026, 4, 1, 10) + 123.456, 3);
  });

  test.each([
    ['absent', undefined],
    ['null', null],
    ['no date', 'yesterday'],
    ['without a zone', '2026-05-01T10:00:00'],
    ['on a day that does not exist', '2026-02-30T10:00:00Z'],
    ['at hour 24', '2026-05-01T24:00:00Z'],
    ['of a day and a month that could be each other', '05/01/2026 10:00:00Z'],
    ['from a clock that was not set', 86_400],
    ['negative', -1],
  ])('%s makes the value uncertain and stamps it at arrival', (_what, time) => {
    expect(at(time)).toMatchObject({ value: 1, timeMs: NOW_MS, quality: 'uncertain', reason: 'time-invalid' });
    const found = time === undefined ? 'nothing' : JSON.stringify(time);
    expect(at(time)?.fault).toBe(
      `t: expected an epoch time or a time with a zone at $.t (for others set timeUnit or timeZone), found ${found}`,
    );
  });

  test('ahead of the clock is used up to 1 s, replaced and good up to the tolerance, and uncertain beyond it', () => {
    expect(at(NOW_MS + AHEAD_MS_MAX)).toMatchObject({ timeMs: NOW_MS + AHEAD_MS_MAX, quality: 'good' });
    expect(at(NOW_MS + TOLERANCE_MS)).toMatchObject({ timeMs: NOW_MS, quality: 'good' });
    expect(at(NOW_MS + TOLERANCE_MS + 1)).toMatchObject({
      timeMs: NOW_MS,
      quality: 'uncertain',
      reason: 'time-in-future',
    });
  });

  test('long ago is used: a source does not judge the age of a sample', () => {
    expect(at('2001-01-01T00:00:00Z')).toMatchObject({ timeMs: Date.UTC(2001, 0, 1), quality: 'good' });
  });

  test('of a retained message is the payload’s own', () => {
    expect(at(NOW_MS - 60_000, true)).toMatchObject({ timeMs: NOW_MS - 60_000, quality: 'good' });
  });

  test('of a retained message without one is unknown, and not a fault', () => {
    expect(decode('1', {}, true)).toMatchObject({
      value: 1,
      timeMs: NOW_MS,
      quality: 'uncertain',
      reason: 'time-invalid',
      fault: '',
    });
  });
});

describe('a list of samples', () => {
  const listed = { samples: '$.s', value: '$.v', time: '$.t' };

  test('is one batch for each element, in order, with its own time', () => {
    const s = [3, 1, 2].map((v) => ({ v, t: NOW_MS - 1000 * v }));
    const samples = decodeAll(JSON.stringify({ s, speed: 1480 }), { rms: listed, speed: { value: '$.speed' } });
    expect(samples.map(({ value, timeMs }) => [value, timeMs])).toEqual([
      [3, NOW_MS - 3000],
      [1, NOW_MS - 1000],
      [2, NOW_MS - 2000],
      [1480, NOW_MS],
    ]);
  });

  test('may have lists as elements, and be the whole payload', () => {
    const tag = { samples: '$', value: '$[1]', time: '$[0]' };
    expect(decodeAll(JSON.stringify([[NOW_MS - 5, 7]]), { t: tag })).toMatchObject([
      { value: 7, timeMs: NOW_MS - 5, quality: 'good' },
    ]);
  });

  test('an invalid element makes only its own sample bad', () => {
    const samples = decodeAll(JSON.stringify({ s: [{ v: 1, t: NOW_MS }, null, { v: 2, t: NOW_MS }] }), { t: listed });
    expect(samples.map(({ value, reason }) => [value, reason])).toEqual([
      [1, 'none'],
      [Number.NaN, 'payload-invalid'],
      [2, 'none'],
    ]);
  });

  test.each(['{}', '{"s":1}', 'x', '{"s":{"0":1}}'])('%s has none: one bad sample reports it', (payload) => {
    expect(decodeAll(payload, { t: listed })).toMatchObject([{ quality: 'bad', reason: 'payload-invalid' }]);
  });

  test('over the limit is cut and reported', () => {
    const s = Array.from({ length: 10_001 }, () => ({ v: 1, t: NOW_MS }));
    const samples = decodeAll(JSON.stringify({ s }), { t: listed });
    expect(samples).toHaveLength(10_000);
    expect(samples[0]?.fault).toBe('10001 samples in a message; 10000 of them were read');
  });
});

describe('a payload of a unified namespace', () => {
  const uns = (payload: object) => decode(JSON.stringify(payload), { format: 'uns' });

  test('has its value and its time', () => {
    expect(uns({ value: 2.5, timestamp_ms: NOW_MS - 9 })).toMatchObject({
      value: 2.5,
      timeMs: NOW_MS - 9,
      quality: 'good',
      fault: '',
    });
  });

  test.each([
    ['good', 'good'],
    ['GOOD', 'good'],
    [192, 'good'],
    [216, 'good'],
    [true, 'good'],
    [null, 'good'],
    ['uncertain', 'uncertain'],
    ['who knows', 'uncertain'],
    [64, 'uncertain'],
    [{}, 'uncertain'],
    ['bad', 'bad'],
    [0, 'bad'],
    [false, 'bad'],
  ])('with quality %j is %s', (quality, expected) => {
    const sample = uns({ value: 1, timestamp_ms: NOW_MS, quality });
    expect(sample).toMatchObject({
      quality: expected,
      reason: expected === 'good' ? 'none' : 'marked-not-good',
    });
    expect(sample?.fault.includes(' at $.quality')).toBe(expected !== 'good');
  });

  test('that is bad needs no value, and is named', () => {
    expect(uns({ value: null, timestamp_ms: NOW_MS, quality: 'bad' })).toMatchObject({
      quality: 'bad',
      reason: 'marked-not-good',
      fault: 't: the sender marks the value as bad at $.quality: "bad"',
    });
    expect(uns({ value: null, timestamp_ms: NOW_MS })).toMatchObject({
      fault: 't: expected a number at $.value, found null',
    });
  });
});
