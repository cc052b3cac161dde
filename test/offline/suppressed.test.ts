import { expect, test } from 'vitest';
import { HistoryDatabase } from '../../src/outbox/history/history-database.ts';
import { machineRows } from '../training/machine.ts';
import { machineTags, timeText, TrainingSite } from './train-fixture.ts';

const ROWS = 1400;
const STOPPED = { from: 500, to: 700 };
const allTags = [...machineTags, 'running'];

/** A machine that stands still from `STOPPED.from` to `STOPPED.to`: all its tags are 0. */
function valueOf(values: Float64Array, row: number, tag: number): number {
  const runs = row < STOPPED.from || row >= STOPPED.to;
  if (tag === machineTags.length) return runs ? 1 : 0;
  return runs ? (values[row * machineTags.length + tag] ?? 0) : 0;
}

test('rows in which the alarm is suppressed are not learned, raise no alarm and are counted, as are those without data', async () => {
  const watch = { tags: machineTags, alarm: { suppressWhen: { tag: 'running', below: 0.5 } } };
  const site = new TrainingSite({ tags: allTags, watch });
  const { values } = machineRows(ROWS, 1);
  const lines = Array.from({ length: ROWS }, (_, row) =>
    [timeText(row), ...allTags.map((_tag, tag) => valueOf(values, row, tag))].join(';'),
  );
  const csv = site.csv('day.csv', [['datetime', ...allTags].join(';'), ...lines]);
  const trained = JSON.parse((await site.train({ csv, json: true })).out);
  expect(trained.rowsFitted).toBe(ROWS - (STOPPED.to - STOPPED.from));
  expect(trained.findings).toContainEqual({
    kind: 'suppressed',
    tag: 'running',
    message: 'suppresses the alarm in 200 rows, which were left out',
  });
  // The recovery after a stop takes a window, so the alarm would be raised then: the rows end with the stop.
  const judged = JSON.parse((await site.evaluate({ csv, rows: `300-${STOPPED.to - 1}`, json: true })).out);
  const { metrics } = judged.evaluations[0];
  expect(metrics).toMatchObject({ suppressedRows: STOPPED.to - STOPPED.from, alarms: 0, offlineRows: 0 });
  expect(metrics.abnormalRows).toBeGreaterThan(100);

  const gapRows = 20_000;
  const history = new HistoryDatabase(site.path('history.db'), 1e9);
  const timesMs = Float64Array.from({ length: ROWS }, (_, row) => (row < 1000 ? row : row + gapRows) * 1000 + 1.7e12);
  history.append({
    id: 'one',
    tags: allTags,
    counts: allTags.map(() => ROWS),
    timesMs: Float64Array.from({ length: allTags.length * ROWS }, (_, index) => timesMs[index % ROWS] ?? 0),
    values: Float64Array.from({ length: allTags.length * ROWS }, (_, index) =>
      valueOf(values, index % ROWS, Math.floor(index / ROWS)),
    ),
    qualities: new Uint8Array(allTags.length * ROWS),
  });
  history.close();
  const live = JSON.parse((await site.evaluate({ json: true })).out).evaluations[0].metrics;
  expect(live.suppressedRows).toBe(STOPPED.to - STOPPED.from);
  expect(live.offlineRows).toBeGreaterThanOrEqual(gapRows);
  expect(live.unknownCauses[0]).toEqual({ cause: 'offline: the recording has no data', rows: live.offlineRows });
});
