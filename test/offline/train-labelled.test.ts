import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { modelManifestSchema } from '../../src/contracts/model-manifest.ts';
import { machineRows } from '../training/machine.ts';
import { machineLines, machineTags, timeText, TrainingSite } from './train-fixture.ts';

test('a classification is learned from labelled rows and measured on later ones', async () => {
  const site = new TrainingSite();
  const rows = machineRows(1200, 1);
  const fault = (row: number) => row % 200 >= 150;
  const lines = machineLines(rows, 0).map((line, index) => {
    if (index === 0) return line;
    const cells = line.split(';');
    const flow = Number(cells[2]) + (fault(index - 1) ? 5 : 0);
    return [cells[0], cells[1], flow, cells[3], fault(index - 1) ? 'leak' : 'normal'].join(';');
  });
  const csv = site.csv('day.csv', lines);
  const { out } = await site.train({ csv, label: 'anomaly', algorithm: 'softmax', rows: '0-999', json: true });
  const { task, metrics } = JSON.parse(out);
  expect(task).toBe('classification');
  expect(metrics.accuracy).toBeGreaterThan(metrics.naive_accuracy + 0.1);
  const manifest = modelManifestSchema.parse(parse(site.read('models/machine/1/model.yaml')));
  expect(manifest).toMatchObject({ threshold: 0.5, training: { classes: ['normal', 'leak'] } });
  const evaluated = await site.evaluate({ csv, label: 'anomaly', rows: '1000-', json: true });
  expect(JSON.parse(evaluated.out).evaluations[0].metrics.labelled.f1).toBeGreaterThan(0.9);
});

test('samples without times that are sorted by class are tried on samples of every class', async () => {
  const site = new TrainingSite();
  const rows = machineRows(600, 1);
  const lines = Array.from({ length: 600 }, (_, row) => {
    const [load = 0, flow = 0, temperature = 0] = rows.values.subarray(row * 3, row * 3 + 3);
    const worn = row >= 450;
    return [load, flow + (worn ? 6 : 0), temperature, worn ? 'worn' : 'good'].join(',');
  });
  const csv = site.csv('samples.csv', [[...machineTags, 'state'].join(','), ...lines]);
  const { out } = await site.train({ csv, label: 'state', task: 'classification', json: true });
  const { metrics, warnings } = JSON.parse(out);
  expect(metrics.accuracy).toBeGreaterThan(0.95);
  expect(warnings).toEqual([]);
});

test('a regression is abnormal on the configured side', async () => {
  const site = new TrainingSite();
  const rows = machineRows(800, 1);
  const lines = machineLines(rows, 0).map((line, index) =>
    index === 0 ? line : `${line.slice(0, line.lastIndexOf(';'))};${500 - (rows.values[(index - 1) * 3 + 1] ?? 0)}`,
  );
  const csv = site.csv('day.csv', lines);
  await site.train({ csv, label: 'anomaly', algorithm: 'ridge', below: 470, rows: '0-599' });
  const manifest = modelManifestSchema.parse(parse(site.read('models/machine/1/model.yaml')));
  expect(manifest).toMatchObject({ task: 'regression', threshold: 470, abnormal: 'below' });
  const { out } = await site.evaluate({ csv, label: 'anomaly', rows: '600-', json: true });
  expect(JSON.parse(out).evaluations[0].errors.rmse).toBeLessThan(1);
});

test('without labels there is nothing to learn a classification from', async () => {
  const site = new TrainingSite();
  const csv = site.csv('day.csv', machineLines(machineRows(300, 1), 400));
  await expect(site.train({ csv, task: 'classification' })).rejects.toThrow('name the column with --label');
  await expect(site.train({ csv, task: 'classification', label: 'anomaly' })).rejects.toThrow('1 classes (0)');
});

test('on the live grid, times that repeat or go back are reported, and gaps split the run', async () => {
  const site = new TrainingSite();
  const [head = '', ...rows] = machineLines(machineRows(700, 1));
  const times = rows.map((line, row) => {
    const second = row < 300 ? row : row + 600;
    return `${timeText(row === 50 ? 45 : second)}${line.slice(line.indexOf(';'))}`;
  });
  const { out } = await site.train({ csv: site.csv('day.csv', [head, ...times]), step: '1s', json: true });
  const { rowsRead, rowsFitted, findings } = JSON.parse(out);
  expect(rowsRead).toBe(1300);
  // A value is held for five seconds into the gap; row 50 was late, and its second kept the value before.
  expect(rowsFitted).toBe(705);
  expect(findings.map(({ message }: { message: string }) => message)).toContainEqual(
    expect.stringContaining('3 values came after later ones'),
  );
});
