import { describe, expect, test } from 'vitest';
import {
  BAD,
  GOOD,
  type QualityCode,
  type QualityReason,
  qualityOf,
  reasonOf,
  UNCERTAIN,
} from '../../src/domain/sample/quality.ts';
import { SampleBatch } from '../../src/domain/sample/sample-batch.ts';
import type { Tag } from '../../src/domain/sample/tag.ts';
import { DerivedTags } from '../../src/pipeline/derived-tags.ts';
import { parseExpression } from '../../src/pipeline/expression.ts';
import { scan, startLine } from './fakes/start-line.ts';

/** Value of an expression whose tags a, b, c … have these values. */
function valueOf(expr: string, ...values: readonly number[]): number {
  const parsed = parseExpression(expr);
  if ('problem' in parsed) throw new Error(parsed.problem);
  const byName = parsed.tags.map((name) => values['abcdefg'.indexOf(name)] ?? Number.NaN);
  return parsed.compile()({ values: Float64Array.from(byName), timeMs: 0, isGood: true });
}

describe('an expression', () => {
  test.each<[string, number[], number]>([
    // SunSpec scale factors.
    ["tag('a') * 10 ^ tag('b')", [4217, -1], 421.7],
    ["tag('a') * 10 ^ tag('b')", [4217, -2], 42.17],
    ["tag('a') * 10 ^ tag('b')", [42, 3], 42_000],
    // A counter of four registers of 0 to 9999.
    ["tag('a') + 1e4 * tag('b') + 1e8 * tag('c') + 1e12 * tag('d')", [5678, 1234, 0, 0], 12_345_678],
    // Eight bits of exponent and 24 of mantissa: FD FE1DC0.
    ["(tag('b') * 65536 + tag('c')) * 10 ^ tag('a')", [-3, -2, 0x1dc0], -123.456],
    ["100 * tag('a') / tag('b')", [30, 40], 75],
    ['max(tag("a"), tag("b")) - min(tag("a"), tag("b"))', [3, 8], 5],
    ["tag('a') > 5 && tag('b') != 0 ? tag('b') : -1", [6, 7], 7],
    ["2 ^ 3 ^ 2 + tag('a')", [0], 512],
    ["bit(tag('a'), 3) + bit(tag('a'), 2)", [8], 1],
    ["-tag('a') + abs(-2) + sqrt(9) + round(1.5) % 2", [1], 4],
  ])('%s of %j is %d', (expr, values, expected) => {
    expect(valueOf(expr, ...values)).toBe(expected);
  });

  test.each([
    ["tag('a') *", 'cannot be evaluated: Expected expression after *'],
    ['a + 1', "unknown name 'a': expected pi, e, true, false; a tag is written tag('name')"],
    ["tg('a')", "unknown function 'tg': expected abs, sqrt"],
    ['tag(a)', "tag has one argument, a name in quotes: tag('pump-1.power')"],
    ['1 + 1', "expected at least one tag('name')"],
    ["sqrt(tag('a'), 2)", 'sqrt has 1 arguments, found 2'],
    ["tag('a') tag('b')", 'expected one expression'],
    ["rate(tag('a'), 'y')", "unknown unit of time 'y': expected s, min, h, d"],
    ["tag('a').constructor", 'MemberExpression is not supported'],
    ["constructor('return 1')", "unknown function 'constructor'"],
    ["tag('a') & 1", "unknown operator '&'"],
    ["this + tag('a')", 'ThisExpression is not supported'],
  ])('%s is refused: %s', (expr, problem) => {
    const parsed = parseExpression(expr);
    expect('problem' in parsed ? parsed.problem : 'none').toContain(problem);
  });
});

const names = ['a', 'b', 'out', 'twice'];
const tags: readonly Tag[] = names.map((name, number) => {
  return { name, unit: '', range: undefined, deadband: 0, number, source: 'plc' };
});
type Sample = readonly [tag: number, value: number, timeMs: number, quality?: QualityCode, reason?: QualityReason];

function evaluate(derived: DerivedTags, samples: readonly Sample[], level = 0): readonly unknown[] {
  const batch = new SampleBatch(8);
  for (const [tag, value, timeMs, quality = GOOD, reason = 'none'] of samples)
    batch.add(tag, value, timeMs, quality, reason);
  derived.take(batch);
  const found = derived.evaluate(level);
  return Array.from({ length: found.length }, (_, index) => [
    names[found.tags[index] ?? -1],
    found.values[index],
    found.timesMs[index],
    `${qualityOf(found.qualities[index] ?? BAD)} ${reasonOf(found.reasons[index] ?? 0)}`,
  ]);
}

describe('a derived tag', () => {
  const sum = () => new DerivedTags({ out: { expr: "tag('a') + tag('b')" } }, tags);

  test('has the worst quality and the oldest time of its inputs', () => {
    const derived = sum();
    expect(evaluate(derived, [[0, 1, 1000]])).toEqual([['out', Number.NaN, 1000, 'bad not-read-yet']]);
    expect(evaluate(derived, [[1, 2, 3000]])).toEqual([['out', 3, 1000, 'good none']]);
    expect(evaluate(derived, [[0, 5, 4000, UNCERTAIN, 'out-of-range']])).toEqual([
      ['out', 7, 3000, 'uncertain out-of-range'],
    ]);
    expect(evaluate(derived, [[1, Number.NaN, 5000, BAD, 'timeout']])).toEqual([
      ['out', Number.NaN, 4000, 'bad timeout'],
    ]);
  });

  test('has one sample for each batch of its inputs, and none for another batch', () => {
    const derived = sum();
    expect(
      evaluate(derived, [
        [0, 1, 1000],
        [1, 2, 1000],
      ]),
    ).toHaveLength(1);
    expect(evaluate(derived, [[3, 1, 2000]])).toEqual([]);
  });

  test('may be an input of another derived tag', () => {
    const derived = new DerivedTags({ twice: { expr: "2 * tag('out')" }, out: { expr: "tag('a') + 1" } }, tags);
    expect(derived.levels).toBe(2);
    expect(evaluate(derived, [[0, 4, 1000]])).toEqual([['out', 5, 1000, 'good none']]);
    expect(evaluate(derived, [[2, 5, 1000]], 1)).toEqual([['twice', 10, 1000, 'good none']]);
  });

  test('rate is the change in the unit of time between two good values', () => {
    const derived = new DerivedTags({ out: { expr: "rate(tag('a'), 'min')" } }, tags);
    const rates = [
      evaluate(derived, [[0, 10, 1000]]),
      evaluate(derived, [[0, 11, 3000]]),
      evaluate(derived, [[0, 900, 4000, UNCERTAIN, 'not-available?']]),
      evaluate(derived, [[0, 12, 5000]]),
      // The same sample again.
      evaluate(derived, [[0, 12, 5000]]),
    ].map(([sample]) => (sample as readonly unknown[]).slice(1));
    expect(rates).toEqual([
      [Number.NaN, 1000, 'bad not-read-yet'],
      [30, 3000, 'good none'],
      [53_340, 4000, 'uncertain not-available?'],
      [30, 5000, 'good none'],
      [30, 5000, 'good none'],
    ]);
  });

  test('integral counts good values only, and no time without them', () => {
    const derived = new DerivedTags({ out: { expr: "integral(tag('a'), 'h')" } }, tags);
    const hour = 3_600_000;
    const sums = [
      evaluate(derived, [[0, 100, hour]]),
      evaluate(derived, [[0, 200, 2 * hour]]),
      evaluate(derived, [[0, 65_535, 3 * hour, UNCERTAIN, 'not-available?']]),
      evaluate(derived, [[0, Number.NaN, 4 * hour, BAD, 'timeout']]),
      evaluate(derived, [[0, 100, 5 * hour]]),
      evaluate(derived, [[0, 100, 6 * hour]]),
    ].map(([sample]) => (sample as readonly unknown[])[1]);
    expect(sums).toEqual([0, 150, 150, Number.NaN, 150, 250]);
  });
});

test('a watch judges a derived tag in the row of the same scan', async () => {
  const line = await startLine({
    derived: { load: { expr: "tag('vibration') * tag('current')" } },
    watches: { 'pump-1': { tags: ['vibration', 'load'], window: { step: 'scan' } } },
  });
  for (const [vibration, current] of [
    [1, 1],
    [2, 2],
    [3, 3],
  ] as const) {
    line.pipeline.accept(scan(line.clock.nowMs(), [vibration, current]));
    // oxlint-disable-next-line no-await-in-loop -- one scan after the other
    await line.clock.advance(1000);
  }
  expect(line.verdicts().at(-1)).toMatchObject({ tags: { vibration: 3, load: 9 }, quality: { load: 'good' } });
  expect(line.pipeline.tags().find(({ tag }) => tag === 'load')).toMatchObject({ value: 9, quality: 'good' });
  await line.stop();
});
