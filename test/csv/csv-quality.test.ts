import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { CsvFile, type CsvOptions } from '../../src/csv/csv-file.ts';

function fileWith(lines: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'andon-csv-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'day.csv');
  writeFileSync(path, lines.join('\n'));
  return path;
}

async function read(lines: readonly string[], options: CsvOptions = {}) {
  const file = await CsvFile.open(fileWith(lines), options);
  const rows = await Array.fromAsync(file.rows());
  return {
    values: rows.map(({ values }) => [...values]),
    times: rows.map(({ timeMs }) => timeMs),
    layout: file.layout,
  };
}

const at = (second: number) => `2026-03-02T06:00:0${second}Z`;
const missing = Number.NaN;

describe('a value that the export marks as not good is missing', () => {
  test('in a file with one value a line, by words and by OPC DA codes', async () => {
    const quality = ['Good', 'Bad', '192', '24', 'Uncertain', 'goodish', ''];
    const rows = quality.map((word, second) => `p,${at(second)},${second},${word}`);
    const { values, layout } = await read(['Tag,Timestamp,Value,Quality', ...rows], { columns: ['p'] });
    expect(values).toEqual([[0], [missing], [2], [missing], [missing], [missing], [6]]);
    expect(layout.notes).toContain('values whose Quality is not good are missing');
  });

  test('in a file with a column for each tag', async () => {
    const lines = ['time;power;power_Quality;flow', `${at(0)};5;Good;1`, `${at(1)};0;Bad;2`];
    const { values, layout } = await read(lines, { columns: ['power', 'flow'] });
    expect(values).toEqual([
      [5, 1],
      [missing, 2],
    ]);
    expect(layout.notes).toContain('values whose power_Quality is not good are missing');
  });
});

describe('a time column that can be read in two ways is refused with what decides', () => {
  test.each([
    [['Datum;Uhrzeit;p', '02.03.2026;06:00:00;1', '02.03.2026;06:00:01;2'], { timeColumn: 'Datum' }],
    [['Date,Time,p', '2026-03-02,06:00:00,1', '2026-03-02,06:00:01,2'], {}],
  ])('date and time of day in two columns', async (lines, options) => {
    await expect(read(lines, options)).rejects.toThrow(/the date is in column '.*' and the time of day in column/);
  });

  test('days without a time of day are times', async () => {
    const { times } = await read(['date,shift,p', '2026-03-02,06:00,1', '2026-03-03,06:00,2'], { timeColumn: 'date' });
    expect(times).toEqual([Date.UTC(2026, 2, 2), Date.UTC(2026, 2, 3)]);
  });

  test('whole numbers that may be days of Excel or seconds', async () => {
    const lines = ['time,p', '46083,1', '46084,2'];
    await expect(read(lines)).rejects.toThrow('--time-unit excel or --time-unit s decides');
    expect((await read(lines, { timeUnit: 's' })).times).toEqual([46_083_000, 46_084_000]);
    expect((await read(lines, { timeUnit: 'excel' })).times).toEqual([Date.UTC(2026, 2, 2), Date.UTC(2026, 2, 3)]);
  });
});
