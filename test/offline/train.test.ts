import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { modelManifestSchema } from '../../src/contracts/model-manifest.ts';
import { machineRows } from '../training/machine.ts';
import { machineLines, timeText, TrainingSite } from './train-fixture.ts';

describe('one command makes a model of a CSV', () => {
  test('and says how good it is; nothing is activated', async () => {
    const site = new TrainingSite();
    const { code, out } = await site.train({ csv: site.csv('day.csv', machineLines(machineRows(1200, 1))) });
    expect(code).toBe(0);
    expect(out).toContain('1200 rows read');
    expect(out).toContain('held_out_false_alarm_rate');
    expect(out).toContain('andon models activate machine@1');
    expect(existsSync(site.path('models/machine/active'))).toBe(false);
    expect(readdirSync(site.path('models/machine/1')).toSorted()).toEqual([
      'contributions.svg',
      'model.onnx',
      'model.yaml',
      'report.md',
      'score.svg',
      'tags.svg',
    ]);
  });

  test('whose manifest tells its data, and the same data gives the same bytes', async () => {
    const site = new TrainingSite();
    const csv = site.csv('day.csv', machineLines(machineRows(900, 1)));
    await site.train({ csv, rows: '100-699' });
    await site.train({ csv, rows: '100-699' });
    const manifest = modelManifestSchema.parse(parse(site.read('models/machine/1/model.yaml')));
    expect(manifest.training).toMatchObject({
      algorithm: 'wpca',
      data: 'day.csv',
      firstRow: 100,
      lastRow: 699,
      from: timeText(100),
      to: timeText(699),
      fingerprint: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
    for (const file of readdirSync(site.path('models/machine/1')))
      expect(site.read(`models/machine/2/${file}`).replace('version: 2', 'version: 1'), `${file} differs`).toBe(
        site.read(`models/machine/1/${file}`),
      );
  });

  test('a header that names no tag is bound by --columns', async () => {
    const site = new TrainingSite();
    const [, ...lines] = machineLines(machineRows(400, 1));
    const csv = site.csv('day.csv', ['when;A;B;C', ...lines]);
    await expect(site.train({ csv, time: 'when' })).rejects.toMatchObject({ code: 'csv-header-invalid' });
    const { code } = await site.train({ csv, time: 'when', columns: 'load=A,flow=B,temperature=C' });
    expect(code).toBe(0);
  });
});

describe('rows that are never complete', () => {
  test('are refused with the tag that is missing most, and how long a value counts', async () => {
    const site = new TrainingSite();
    // The temperature and the others have their values ten rows apart, and a value counts for five.
    const [head = '', ...rows] = machineLines(machineRows(400, 1));
    const sparse = rows.map((line, row) => {
      const [time, load, flow, temperature] = line.split(';');
      if (row % 20 === 0) return `${time};;;${temperature}`;
      return row % 20 === 10 ? `${time};${load};${flow};` : `${time};;;`;
    });
    const csv = site.csv('sparse.csv', [head, ...sparse]);
    await expect(site.train({ csv })).rejects.toMatchObject({
      code: 'training-too-few-rows',
      message: expect.stringMatching(
        /None of 395 rows .*'(load|flow|temperature)' is missing in \d+: .*window\.maxAge, 5s\. Raise maxAge/,
      ),
    });
  });
});

describe('what the data shows is said before anything is learned from it', () => {
  test('values outside the range of their tag are left out as in operation, and counted', async () => {
    const site = new TrainingSite({ tag: { range: [0, 5000] } });
    const lines = machineLines(machineRows(900, 1)).map((line, row) => (row === 400 ? withFlow(line, '9999') : line));
    const { out } = await site.train({ csv: site.csv('day.csv', lines) });
    expect(out).toContain('data: flow 1 values are outside its range');
  });

  test('one tag that stands still does not keep the others from being watched', async () => {
    const site = new TrainingSite();
    const rows = machineLines(machineRows(1500, 1)).map((line, row) => (row === 0 ? line : withFlow(line, '7')));
    const csv = site.csv('day.csv', rows);
    const { out } = await site.train({ csv, rows: '0-999' });
    expect(out).toContain('data: flow is 7 in every row');
    const { code, out: figures } = await site.evaluate({ csv, rows: '1000-', json: true });
    expect(JSON.parse(figures)).toMatchObject({ evaluations: [{ metrics: { rows: 500, abnormalRows: 0 } }] });
    expect(code).toBe(0);
  });

  test('rows labelled as faults are left out of normal running', async () => {
    const site = new TrainingSite();
    const csv = site.csv('day.csv', machineLines(machineRows(1000, 1, 700), 700));
    const { out } = await site.train({ csv, label: 'anomaly' });
    expect(out).toContain('700 fitted on');
  });
});

describe('what nothing can be learned from ends with a message that names it', () => {
  test.each([
    ['two rows', machineLines(machineRows(2, 1)), 'training-too-few-rows', /2 training rows/],
    ['text among numbers', replaced(300, 'abc'), 'csv-value-invalid', /:302: .*'flow'.*"abc"/],
    ['a line with a cell too many', replaced(300, '1;2'), 'csv-row-invalid', /:302: 5 cells/],
    [
      'no column of a tag',
      ['datetime;load;flow', ...rowsOf('1;2')],
      'csv-header-invalid',
      /there is no column 'temperature'/,
    ],
    [
      'nothing but missing values',
      ['datetime;load;flow;temperature', ...rowsOf('1;NaN;2')],
      'training-too-few-rows',
      /None of 295 rows has a value of every tag\. 'flow' is missing in 295: .*window\.maxAge, 5s/,
    ],
    ['tags that all stand still', ['load;flow;temperature', ...rowsOf('1;2;3', '')], 'training-no-variance', /3 tags/],
  ])('%s', async (_, lines, code, message) => {
    const site = new TrainingSite();
    const training = site.train({ csv: site.csv('day.csv', lines) });
    await expect(training).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(existsSync(site.path('models'))).toBe(false);
  });

  test('fewer rows than give reliable limits, unless it is forced', async () => {
    const site = new TrainingSite();
    const csv = site.csv('day.csv', machineLines(machineRows(599, 1)));
    await expect(site.train({ csv, force: false })).rejects.toMatchObject({
      code: 'training-too-few-rows',
      message: expect.stringMatching(/599 training rows; 600 or more .* --force/),
    });
    const { out } = await site.train({ csv });
    expect(out).toContain('599 training rows; 600 or more');
  });

  test('an empty file, a missing file, a watch that is not there', async () => {
    const site = new TrainingSite();
    writeFileSync(site.path('empty.csv'), '');
    await expect(site.train({ csv: site.path('empty.csv') })).rejects.toMatchObject({ code: 'csv-empty' });
    await expect(site.train({ csv: site.path('none.csv') })).rejects.toMatchObject({ code: 'csv-unreadable' });
    await expect(site.train({ csv: site.path('x.csv'), rows: '9-3' })).rejects.toThrow('expected such as 0-399');
    await expect(site.train({})).rejects.toMatchObject({ code: 'history-unavailable' });
  });
});

function withFlow(line: string, value: string): string {
  return line
    .split(';')
    .map((cell, index) => (index === 2 ? value : cell))
    .join(';');
}

/** A machine's lines with another text for the flow of one row. */
function replaced(row: number, text: string): readonly string[] {
  return machineLines(machineRows(400, 1)).map((line, index) => (index === row + 1 ? withFlow(line, text) : line));
}

function rowsOf(cells: string, time?: string): readonly string[] {
  return Array.from({ length: 300 }, (_, row) => (time === '' ? cells : `${timeText(row)};${cells}`));
}
