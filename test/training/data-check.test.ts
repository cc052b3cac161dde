import { expect, test } from 'vitest';
import { DataCheck, type DataFinding } from '../../src/training/report/data-check.ts';
import type { TrainingRows } from '../../src/training/core/training-rows.ts';
import { machineRows } from './machine.ts';

const tags = ['load', 'flow', 'temperature'];

test('a healthy machine gives no findings', () => {
  expect(findings(machineRows(3000, 1))).toEqual([]);
});

test('a tag that never moves is named', () => {
  expect(findings(changed(machineRows(1000, 1), () => true, 5))).toEqual([
    { kind: 'constant', tag: 'flow', message: expect.stringContaining('5 in every row') },
  ]);
});

test('a tag that stands still for a while and moves all the time otherwise is named with its rows', () => {
  const rows = changed(machineRows(2000, 1), (row) => row >= 400 && row < 700, 21);
  expect(findings(rows)).toContainEqual({ kind: 'stuck', tag: 'flow', message: expect.stringContaining('400 to 699') });
});

test('a tag that only grows is a counter', () => {
  const check = new DataCheck(['parts', 'load'], undefined);
  for (let row = 0; row < 100; row += 1) check.add([Math.floor(row / 10), (row * 7) % 10], undefined);
  expect(check.findings([], [0, 0])).toContainEqual({
    kind: 'counter',
    tag: 'parts',
    message: 'only grows, from 0 to 9: each new value is abnormal. Watch its rate (a derived tag)',
  });
  expect(check.findings([], [0, 0]).some(({ tag }) => tag === 'load')).toBe(false);
});

test('spikes are counted', () => {
  const rows = changed(machineRows(1000, 1), (row) => row % 100 === 50, 1e4);
  expect(findings(rows)).toContainEqual({
    kind: 'spikes',
    tag: 'flow',
    message: expect.stringMatching(/^\d+ spikes in 1000/),
  });
});

test('another level from the middle on is a change of regime', () => {
  expect(findings(machineRows(4000, 1, 2000)).map(({ kind, tag }) => `${kind} ${tag ?? ''}`)).toEqual(['regime flow']);
});

test('missing values, gaps, repeated and backward times are reported with their numbers', () => {
  const rows = machineRows(300, 1);
  const times = Float64Array.from({ length: 300 }, (_, row) => row * 1000 + (row >= 100 ? 60_000 : 0));
  times[10] = 9000;
  times[200] = 100_000;
  const check = new DataCheck(tags, 1000);
  for (let row = 0; row < 300; row += 1) {
    const values = rows.values.slice(row * 3, row * 3 + 3);
    if (row < 7) values[2] = Number.NaN;
    check.add(values, times[row]);
  }
  const messages = check.findings([rows], [4, 0, 0]).map(({ tag, message }) => `${tag ?? ''} ${message}`);
  expect(messages).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/gaps in time, the longest of 161 s before row 201|gaps in time, the longest/),
      ' 1 rows repeat the time of the row before',
      ' 1 rows go back in time',
      'load 4 values are outside its range and count as missing',
      'temperature 7 of 300 rows have no value',
    ]),
  );
});

function findings(rows: TrainingRows): readonly DataFinding[] {
  const check = new DataCheck(tags, undefined);
  for (let row = 0; row < rows.count; row += 1) check.add(rows.values.subarray(row * 3, row * 3 + 3), undefined);
  return check.findings([rows], [0, 0, 0]);
}

/** The flow, the second tag, replaced in some rows. */
function changed(rows: TrainingRows, where: (row: number) => boolean, value: number): TrainingRows {
  const values = rows.values.slice();
  for (let row = 0; row < rows.count; row += 1) if (where(row)) values[row * 3 + 1] = value;
  return { ...rows, values };
}
