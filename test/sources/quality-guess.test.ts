import { describe, expect, test } from 'vitest';
import { BAD, GOOD } from '../../src/domain/sample/quality.ts';
import { qualityCodesOf, readQuality } from '../../src/sources/quality-code.ts';
import { decodeJsonValue } from '../../src/sources/mqtt/payload-decode.ts';

const qualityAt = (path: string, value: unknown) => readQuality(value, qualityCodesOf(path));

describe('a quality whose name does not tell its meaning is not taken for good', () => {
  test.each([
    ['$.QualityCode', 0],
    ['$.QualityCode', 24],
    ['$.opcQuality.status', 8],
    ['$.status', 1],
    ['$.status', 200],
    ['$.invalid', 1],
    ['$.invalid', true],
    ['$.bad', true],
    ['$.fault', true],
    ['$.error', 0],
    ['$.q', 'goodish'],
  ])('%s: %s', (path, value) => {
    expect(qualityAt(path, value)).toBeUndefined();
  });

  test.each([
    ['$.QualityCode', 192, GOOD],
    ['$.StatusCode', 0, GOOD],
    ['$.StatusCode', 0x80000000, BAD],
    ['$.valid', true, GOOD],
    ['$.valid', 0, BAD],
    ['$.fault', 'Bad', BAD],
    ['$.q', 'GoodClamped', GOOD],
    ['$.q', 'Good_LocalOverride', GOOD],
  ])('%s: %s is read', (path, value, expected) => {
    expect(qualityAt(path, value)).toBe(expected);
  });
});

test('a map has the last word about flags and numbers too', () => {
  const map = new Map([
    ['true', 0],
    ['false', 1],
    ['1', 5],
  ]);
  expect([true, false, 1, 2].map((value) => decodeJsonValue(value, map))).toEqual([0, 1, 5, 2]);
});
