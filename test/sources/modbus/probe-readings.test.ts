import { expect, test } from 'vitest';
import { rankFits, readings } from '../../../src/sources/modbus/probe/probe-readings.ts';

/** 42.5 as float32 is 0x422a0000. */
const HIGH = 0x422a;

test('a register is shown as both 16-bit integers and as it is on the wire', () => {
  expect(readings([0xfffe], 7)[0]).toMatchObject({ address: 7, hex: 'fffe', uint16: 65_534, int16: -2 });
});

test('a value that would need registers beyond the block is left out', () => {
  const widths = readings([1, 2, 3, 4], 0).map(({ interpretations }) => interpretations.length);
  expect(widths).toEqual([52, 28, 28, 12]);
});

test.each([
  { words: [HIGH, 0], byteOrder: 'ABCD' },
  { words: [0, HIGH], byteOrder: 'CDAB' },
  { words: [0x2a42, 0], byteOrder: 'BADC' },
  { words: [0, 0x2a42], byteOrder: 'DCBA' },
])('the expected value finds a float in order $byteOrder', ({ words, byteOrder }) => {
  expect(rankFits(readings(words, 100), 42.5)[0]).toMatchObject({ address: 100, type: 'float32', byteOrder, scale: 1 });
});

test('an integer with a decimal factor is found', () => {
  const [best] = rankFits(readings([9, 2315], 3), 23.15);
  expect(best).toMatchObject({ address: 4, scale: 0.01 });
  expect(best?.difference).toBeLessThan(1e-9);
});

test('a value as it stands comes before one that needs a factor', () => {
  expect(rankFits(readings([425, HIGH, 0], 0), 42.5)[0]).toMatchObject({ type: 'float32', scale: 1 });
});

test('NaN and inexact values fit nothing', () => {
  const fits = rankFits(readings([0x7fc0, 0, 0xffff, 0xffff], 0), 1e19);
  expect(fits.filter(({ value }) => !Number.isFinite(value))).toEqual([]);
  expect(fits.filter(({ type, value }) => type === 'uint64' && value > 100 * 2 ** 53)).toEqual([]);
});
