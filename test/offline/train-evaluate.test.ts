import { describe, expect, test } from 'vitest';
import { machineRows } from '../training/machine.ts';
import { machineLines, timeText, TrainingSite } from './train-fixture.ts';

const FAULT_FROM = 1500;
const lines = machineLines(machineRows(1800, 1, FAULT_FROM), FAULT_FROM);

describe('a backtest of a recording with a fault', () => {
  test('says how good the model is, finds the fault and names its tag', async () => {
    const site = new TrainingSite({ watch: { alarm: { onDelay: '5s', offDelay: '10s' } } });
    const csv = site.csv('day.csv', lines);
    await site.train({ csv, rows: '0-999' });
    const { code, out, err } = await site.evaluate({ csv, rows: '1000-', label: 'anomaly', json: true });
    const { evaluations, model } = JSON.parse(out);
    expect(code, 'a measurement is done when it has measured').toBe(0);
    expect(model).toBe('machine@1');
    expect(err).toBe('');
    expect(evaluations[0].metrics).toMatchObject({
      rows: 800,
      unknownRows: 0,
      alarms: 1,
      blame: [{ tag: 'flow' }, {}, {}],
      labelled: { falsePositives: 0, falseAlarmsPerDay: 0, events: 1, eventsFound: 1 },
    });
    expect(evaluations[0].metrics.labelled.f1).toBeGreaterThan(0.9);
    expect(evaluations[0].metrics.labelled.detectionDelayMs.mean).toBeLessThan(30_000);
  });

  test("writes a line for each row asked for, in the file's own times", async () => {
    const site = new TrainingSite();
    const csv = site.csv('day.csv', lines);
    await site.train({ csv, rows: '0-999' });
    await site.evaluate({ csv, rows: '1000-', label: 'anomaly', out: site.path('out.csv') });
    const [head, ...rows] = site.read('out.csv').trim().split('\n');
    expect(head).toBe('time;score;prediction');
    expect(rows).toHaveLength(800);
    expect(rows[0]).toMatch(new RegExp(`^${timeText(1000)};0\\.\\d+;0$`));
    expect(rows.at(-1)).toMatch(new RegExp(`^${timeText(1799)};\\d+\\.\\d+;1$`));
  });

  test('without labels ends with 1 if it finds something abnormal', async () => {
    const site = new TrainingSite();
    const csv = site.csv('day.csv', lines);
    await site.train({ csv, rows: '0-999' });
    expect((await site.evaluate({ csv, rows: '1000-1499' })).code).toBe(0);
    expect((await site.evaluate({ csv, rows: '1000-' })).code).toBe(1);
  });

  test('two versions stand side by side, and a report is written for people', async () => {
    const site = new TrainingSite();
    const csv = site.csv('day.csv', lines);
    await site.train({ csv, rows: '0-499' });
    await site.train({ csv, rows: '0-999' });
    const { out, err } = await site.evaluate({
      csv,
      rows: '1000-',
      label: 'anomaly',
      against: 'machine@1',
      report: site.path('report'),
    });
    expect(err).toContain('machine@2: no version is active, so the newest, 2');
    expect(out.split('\n')[0]).toMatch(/machine@2 +machine@1/);
    expect(site.read('report/report.md')).toContain('# machine@2 against machine@1 on day.csv');
    expect(site.read('report/score.svg')).toContain('score and limit');
  });

  test('what comes after a row changes nothing that is said of it', async () => {
    const site = new TrainingSite();
    const csv = site.csv('day.csv', lines);
    await site.train({ csv, rows: '0-999' });
    const said = async (rows: string) => {
      await site.evaluate({ csv, rows, out: site.path('out.csv') });
      return site.read('out.csv').trim().split('\n');
    };
    const short = await said('1000-1100');
    expect((await said('1000-1700')).slice(0, short.length)).toEqual(short);
  });
});

describe('rows that cannot be judged', () => {
  test('have no score, are not called abnormal, and are counted', async () => {
    const site = new TrainingSite();
    await site.train({ csv: site.csv('day.csv', lines), rows: '0-999' });
    const holes = lines.map((line, row) => (row > 1100 && row <= 1120 ? `${timeText(row - 1)};1;NaN;3;0` : line));
    const csv = site.csv('holes.csv', holes);
    const { out } = await site.evaluate({ csv, rows: '1000-1400', json: true, out: site.path('out.csv') });
    // Five steps a value is held; a window has no verdict until its last hole has left it.
    const { unknownRows, unknownCauses, abnormalRows } = JSON.parse(out).evaluations[0].metrics;
    expect(unknownCauses).toEqual([
      { cause: 'flow: values of the window are missing', rows: expect.any(Number) },
      { cause: 'flow: no good value (not-finite)', rows: 15 },
    ]);
    expect(unknownRows).toBeGreaterThanOrEqual(14);
    expect(abnormalRows).toBeLessThan(60);
    expect(site.read('out.csv')).toContain(`${timeText(1110)};;0`);
  });

  test('do not include rows between two hops', async () => {
    const site = new TrainingSite({ watch: { window: { hop: '10s' } } });
    await site.train({ csv: site.csv('day.csv', lines), rows: '0-999' });
    const { out } = await site.evaluate({ csv: site.csv('day.csv', lines), rows: '1000-1400', json: true });
    expect(JSON.parse(out).evaluations[0].metrics).toMatchObject({ rows: 401, unknownRows: 0, unknownCauses: [] });
  });

  test('a tag without values is estimated from the others, and the fault of another one is found', async () => {
    const site = new TrainingSite({ watch: { window: { missingTags: 0.4 } } });
    await site.train({ csv: site.csv('day.csv', lines), rows: '0-999' });
    // Columns: time, load, flow, temperature, label.
    const without = lines.map((line, row) => (row === 0 ? line : line.split(';').with(3, '').join(';')));
    const csv = site.csv('without.csv', without);
    const { out } = await site.evaluate({ csv, rows: '1000-', label: 'anomaly', json: true });
    const [{ metrics }] = JSON.parse(out).evaluations;
    expect(metrics).toMatchObject({ rows: 800, unknownRows: 0, uncertainRows: expect.any(Number), alarms: 1 });
    expect(metrics.labelled).toMatchObject({ falsePositives: 0, events: 1, eventsFound: 1 });
    expect(metrics.uncertainRows).toBe(800 - metrics.abnormalRows);
    expect(metrics.labelled.missedAlarmRate).toBeLessThan(0.1);
    expect(metrics.blame.map(({ tag }: { tag: string }) => tag)).not.toContain('temperature');
  });

  test('a model that is not there, or of another watch, is refused', async () => {
    const site = new TrainingSite();
    const csv = site.csv('day.csv', lines);
    await expect(site.evaluate({ csv })).rejects.toThrow("no model 'machine' yet: andon train makes one");
    await site.train({ csv, rows: '0-999' });
    await expect(site.evaluate({ csv, model: 'machine@7' })).rejects.toThrow('no version 7');
    const other = new TrainingSite({ tags: ['flow', 'load', 'temperature'], watch: { model: 'machine@1' } });
    await expect(other.evaluate({ csv, model: 'machine' })).rejects.toThrow('no model');
  });
});
