import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { RowCollector } from '../../src/training/core/row-collector.ts';
import { countRows } from '../../src/training/core/training-rows.ts';

test('runs of any length are returned unchanged', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 8 }), (lengths) => {
      const collector = new RowCollector(2, 1e6);
      let next = 0;
      for (const length of lengths) {
        for (let row = 0; row < length; row += 1) collector.add([next++, 7]);
        collector.endRun();
      }
      const runs = collector.runs();
      expect(runs.map(({ count }) => count)).toEqual(lengths);
      expect(runs.flatMap(({ values }) => Array.from(values).filter((_, at) => at % 2 === 0))).toEqual(
        Array.from({ length: next }, (_, row) => row),
      );
    }),
    { numRuns: 20 },
  );
});

test('of an endless recording, an even selection is kept within the limit, and no run crosses a dropped span', () => {
  const valuesMax = 40_000;
  const collector = new RowCollector(1, valuesMax);
  const rows = 1_000_000;
  for (let row = 0; row < rows; row += 1) collector.add([row]);
  const runs = collector.runs();
  expect(collector.rows).toBe(rows);
  expect(countRows(runs)).toBeLessThanOrEqual(valuesMax);
  expect(countRows(runs)).toBeGreaterThan(valuesMax / 4);
  for (const { values } of runs)
    for (let at = 1; at < values.length; at += 1) expect((values[at] ?? 0) - (values[at - 1] ?? 0)).toBe(1);
  expect(runs.at(-1)?.values.at(-1)).toBeGreaterThan(rows * 0.9);
  const starts = runs.map(({ values }) => values[0] ?? 0);
  const distances = new Set(starts.slice(1).map((start, at) => start - (starts[at] ?? 0)));
  expect(distances.size).toBe(1);
});

test('rows that must be kept are kept, in up to half of the room', () => {
  const valuesMax = 40_000;
  const collector = new RowCollector(1, valuesMax);
  for (let row = 0; row < 1_000_000; row += 1) collector.add([row], row >= 7000 && row < 7300);
  const values = new Set(collector.runs().flatMap((run) => [...run.values]));
  for (let row = 7000; row < 7300; row += 1) expect(values.has(row)).toBe(true);
  const all = new RowCollector(1, valuesMax);
  for (let row = 0; row < 1_000_000; row += 1) all.add([row], true);
  expect(countRows(all.runs())).toBeLessThanOrEqual(valuesMax);
  expect(all.runs().at(-1)?.values.at(-1)).toBeGreaterThan(900_000);
});
