import { expect, test } from 'vitest';
import { likelyTags } from '../../../src/sources/modbus/probe/likely-tags.ts';
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
  expect(rankFits([readings(words, 100)], 42.5)[0]).toMatchObject({
    address: 100,
    type: 'float32',
    byteOrder,
    scale: 1,
  });
});

test('an integer with a decimal factor is found', () => {
  const [best] = rankFits([readings([9, 2315], 3)], 23.15);
  expect(best).toMatchObject({ address: 4, scale: 0.01 });
  expect(best?.difference).toBeLessThan(1e-9);
});

test('a value as it stands comes before one that needs a factor', () => {
  expect(rankFits([readings([425, HIGH, 0], 0)], 42.5)[0]).toMatchObject({ type: 'float32', scale: 1 });
});

test('NaN and inexact values fit nothing', () => {
  const fits = rankFits([readings([0x7fc0, 0, 0xffff, 0xffff], 0)], 1e19, true);
  expect(fits.filter(({ value }) => !Number.isFinite(value))).toEqual([]);
  expect(fits.filter(({ type, value }) => type === 'uint64' && value > 100 * 2 ** 53)).toEqual([]);
});

test('of several reads, the interpretation that follows the process is first', () => {
  // A float of 230.4 V that moves, and a counter that is 230 in the first read only.
  const wordsOf = (volts: number, counter: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatBE(volts);
    return [counter, bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
  };
  const once = [readings(wordsOf(230.4, 230), 0)];
  expect(rankFits(once, 230)[0]).toMatchObject({ address: 0, type: 'uint16' });
  const reads = [...once, readings(wordsOf(230.1, 260), 0), readings(wordsOf(229.8, 290), 0)];
  expect(rankFits(reads, 230)[0]).toMatchObject({ address: 1, type: 'float32', byteOrder: 'ABCD' });
});

test('combinations that no vendor uses are left out unless all are wanted', () => {
  const words = [0x2a00];
  const types = (all: boolean) =>
    new Set(
      rankFits([readings(words, 0)], 42, all)
        .filter(({ difference }) => difference < 0.01)
        .map(({ type, byteOrder }) => `${type} ${byteOrder}`),
    );
  expect(types(false)).toEqual(new Set());
  expect(types(true)).toContain('uint16 BADC');
});

test('each register is in one likely tag: floats in the byte order of the block, texts, and integers', () => {
  const floats = (...values: readonly number[]) =>
    values.flatMap((value) => {
      const bytes = Buffer.alloc(4);
      bytes.writeFloatBE(value);
      return [bytes.readUInt16BE(2), bytes.readUInt16BE(0)];
    });
  const text = Buffer.from('PUMP-7 ACME');
  const words = [
    17,
    0xfff6,
    0x8000,
    ...floats(230.4, 0, 49.98),
    ...Array.from({ length: 5 }, (_, index) => text.readUInt16BE(index * 2)),
    3,
  ];
  const shown = likelyTags([words, words], 100).map(({ address, type, byteOrder, remark }) =>
    [address, type, byteOrder, remark].join(' '),
  );
  expect(shown).toEqual([
    '100 uint16 ABCD 17',
    '101 int16 ABCD -10',
    '102 int16 ABCD -32768: raw 0x8000 usually means "not available", set invalid',
    '103 float32 CDAB 230.4',
    '105 float32 CDAB 0',
    '107 float32 CDAB 49.98',
    "109 string ABCD 'PUMP-7 ACM'",
    '114 uint16 ABCD 3',
  ]);
});
