import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { shortestFloat32 } from '../../src/domain/alarm/verdict-rule.ts';
import { JsonKeys, JsonWriter } from '../../src/domain/record/json-writer.ts';
import { encodeVerdict, VerdictJson, type VerdictNames } from '../../src/domain/record/verdict-columns.ts';

const names: VerdictNames = {
  watch: 'pump "1"',
  threshold: 0.5,
  model: 'pump-anomaly',
  version: 3,
  provider: 'cpu',
  fallbacks: [{ provider: 'cuda', reason: 'no device' }],
  tags: ['pump-1.vibration', 'pump-1.température', 'pump-1."quoted"'],
};
const good = { score: 0.25, verdict: 'normal', reason: undefined, contributions: [] } as const;

function bodyOf(bytes: Uint8Array, text = JSON.stringify(names)): unknown {
  const writer = new JsonWriter(8);
  writer.text('{');
  return new VerdictJson(text).write(bytes, writer) ? JSON.parse(new TextDecoder().decode(writer.take())) : undefined;
}

test('a receiver gets the names, the values and the qualities of a verdict', () => {
  const bytes = encodeVerdict(names.tags, {
    score: 0.75,
    verdict: 'abnormal',
    reason: 'über der Grenze',
    contributions: [
      { tag: 'pump-1."quoted"', share: 0.9658 },
      { tag: 'pump-1.vibration', share: 0.0214 },
    ],
    values: Float32Array.of(1.5, Number.NaN, -0.1),
    qualities: ['good', 'bad', 'uncertain'],
  });
  expect(bodyOf(bytes)).toEqual({
    watch: 'pump "1"',
    score: 0.75,
    threshold: 0.5,
    verdict: 'abnormal',
    reason: 'über der Grenze',
    model: 'pump-anomaly',
    version: 3,
    contributions: [
      { tag: 'pump-1."quoted"', share: 0.9658 },
      { tag: 'pump-1.vibration', share: 0.0214 },
    ],
    provider: 'cpu',
    fallbacks: [{ provider: 'cuda', reason: 'no device' }],
    tags: { 'pump-1.vibration': 1.5, 'pump-1.température': null, 'pump-1."quoted"': -0.1 },
    quality: { 'pump-1.vibration': 'good', 'pump-1.température': 'bad', 'pump-1."quoted"': 'uncertain' },
  });
});

test('a verdict with estimated tags lists them, and is not normal', () => {
  const fields = { ...good, verdict: 'uncertain', reason: 'estimated from the other tags: why' } as const;
  const values = Float32Array.of(Number.NaN, 1, 2);
  const bytes = encodeVerdict(names.tags, { ...fields, values, qualities: ['bad', 'good', 'good'] });
  const imputed = ['pump-1.vibration'];
  expect(bodyOf(bytes, JSON.stringify({ ...names, imputed }))).toMatchObject({
    verdict: 'uncertain',
    reason: 'estimated from the other tags: why',
    imputed,
    quality: { 'pump-1.vibration': 'bad' },
  });
});

test('a verdict of 492 good tags with five contributions has at most 2,003 bytes, so that two fit on a page of 4,096', () => {
  const tags = Array.from({ length: 492 }, (_, tag) => `line-2.filler.valve-${tag}`);
  const contributions = tags.slice(0, 5).map((tag) => ({ tag, share: 0.2 }));
  const values = Float32Array.from(tags, () => Math.random());
  const bytes = encodeVerdict(tags, { ...good, contributions, values, qualities: tags.map(() => 'good') });
  expect(bytes.length).toBeLessThanOrEqual(2003);
});

test('columns that do not fit their names are not a record', () => {
  const bytes = encodeVerdict(names.tags, {
    ...good,
    values: Float32Array.of(1, 2, 3),
    qualities: ['good', 'bad', 'good'],
  });
  for (let length = 0; length < bytes.length; length += 1) expect(bodyOf(bytes.subarray(0, length))).toBeUndefined();
  const more = JSON.stringify({ ...names, tags: [...names.tags, 'pump-1.speed', 'pump-1.flow'] });
  expect(bodyOf(bytes, more)).toBeUndefined();
});

test('integers and keys of any length are written', () => {
  const writer = new JsonWriter(8);
  const numbers = [0, 7, 10, 999, 1000, 1001, 65_536, 999_999, 1_000_000, 1_800_000_000_000, Number.MAX_SAFE_INTEGER];
  for (const number of numbers) writer.integer(number);
  expect(new TextDecoder().decode(writer.take())).toBe(numbers.join(''));
  const keys = Array.from({ length: 12 }, (_, length) => 'ä23456789012'.slice(0, length));
  writer.float32s(new JsonKeys(keys), new DataView(new Float32Array(keys.length).fill(1.5).buffer), 0);
  expect(new TextDecoder().decode(writer.take())).toBe(keys.map((key) => `${key}1.5`).join(''));
});

test('a number is written as JSON.stringify writes it', () => {
  const json = (value: number) => {
    const writer = new JsonWriter(8);
    writer.number(value);
    return new TextDecoder().decode(writer.take());
  };
  const special = [
    0,
    -0,
    1,
    -1,
    0.1,
    0.1 + 0.2,
    1 / 3,
    1e-7,
    1e-5,
    999_999,
    999_999.999,
    1e6,
    1e21,
    5e-324,
    0.00001234,
  ];
  for (const value of special) expect(json(value)).toBe(JSON.stringify(value));
  for (let round = 0; round < 20_000; round += 1) {
    const value = (Math.random() - 0.5) * 10 ** ((round % 14) - 5);
    const short = Number(value.toPrecision(1 + (round % 12)));
    expect(json(short)).toBe(JSON.stringify(short));
    expect(json(shortestFloat32(Math.fround(value)))).toBe(JSON.stringify(shortestFloat32(Math.fround(value))));
  }
});

test('a float32 is written as the shortest decimal that is the same float32', () => {
  const json = (value: number) => {
    const writer = new JsonWriter(8);
    writer.float32s(new JsonKeys(['']), new DataView(Float32Array.of(value).buffer), 0);
    return new TextDecoder().decode(writer.take());
  };
  const special = [
    0, -0, 1, -1, 0.1, 1e-7, 1e-5, 999_999, 1e6, 16_777_216, 3.4e38, 1e-45, 99_999.99, 123_456.7, 0.00001234,
  ];
  for (const value of special.map(Math.fround)) expect(json(value)).toBe(JSON.stringify(shortestFloat32(value)));
  expect(json(Number.NaN)).toBe('null');
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(json(value)).toBe(JSON.stringify(shortestFloat32(value)));
    }),
    { numRuns: 2000 },
  );
  for (let round = 0; round < 20_000; round += 1) {
    const value = Math.fround((Math.random() - 0.5) * 10 ** ((round % 14) - 5));
    expect(json(value)).toBe(JSON.stringify(shortestFloat32(value)));
  }
});
