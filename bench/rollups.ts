import { join } from 'node:path';
import Database from 'better-sqlite3';
import { HistoryDatabase } from '../src/outbox/history/history-database.ts';
import { rateOfSteps } from './part-rate.ts';
import type { PartOptions } from './part-options.ts';

const TAGS = 8;
const MINUTES = 30 * 24 * 60;
const FROM_MS = 1_800_000_000_000;
const TO_MS = FROM_MS + MINUTES * 60_000;

/** Measures months of 8 tags per second: every minute of a month, read as a chart needs it. */
export async function rollupsAgent({ folder, measureMs }: PartOptions): Promise<number> {
  const history = new HistoryDatabase(join(folder, 'history.db'), 4e9);
  const tags = Array.from({ length: TAGS }, (_, tag) => `t${tag}`);
  for (let hour = 0; hour < MINUTES / 60; hour += 1) {
    const timesMs = Float64Array.from(
      { length: 60 * TAGS },
      (_, index) => FROM_MS + (hour * 60 + (index % 60)) * 60_000,
    );
    const values = timesMs.map((timeMs) => Math.sin(timeMs / 1e7));
    const qualities = new Uint8Array(timesMs.length);
    history.append({ id: `${hour}`, tags, counts: tags.map(() => 60), timesMs, values, qualities });
    history.keepRollups(timesMs.at(-1) ?? 0, 0);
  }
  const rate = await rateOfSteps(() => {
    for (const tag of tags) {
      const { timesMs } = history.rollup({ tag, fromMs: FROM_MS, toMs: TO_MS, resolution: '1m' });
      if (timesMs.length !== MINUTES) throw new Error(`${timesMs.length} of ${MINUTES} minutes of ${tag}`);
    }
    return 1;
  }, measureMs);
  history.close();
  return rate;
}

/** Reads the same minutes from a plain table with better-sqlite3, one row each, into the same columns. */
export async function rollupsLimit({ folder, measureMs }: PartOptions): Promise<number> {
  const sqlite = new Database(join(folder, 'plain.db'));
  sqlite.pragma('journal_mode = WAL');
  sqlite.exec(
    'CREATE TABLE minute (tag INTEGER, time REAL, low REAL, high REAL, mean REAL, count INTEGER, quality INTEGER, PRIMARY KEY (tag, time)) WITHOUT ROWID',
  );
  const insert = sqlite.prepare('INSERT INTO minute VALUES (?, ?, ?, ?, ?, 1, 0)');
  sqlite.transaction(() => {
    for (let tag = 0; tag < TAGS; tag += 1)
      for (let minute = 0; minute < MINUTES; minute += 1) {
        const timeMs = FROM_MS + minute * 60_000;
        const value = Math.sin(timeMs / 1e7);
        insert.run(tag, timeMs, value, value, value);
      }
  })();
  const select = sqlite.prepare('SELECT time, low, high, mean, count, quality FROM minute WHERE tag = ?').raw();
  const rate = await rateOfSteps(() => {
    for (let tag = 0; tag < TAGS; tag += 1) {
      const columns = Array.from({ length: 6 }, () => new Float64Array(MINUTES));
      let row = 0;
      for (const values of select.iterate(tag) as Iterable<readonly number[]>) {
        for (const [index, column] of columns.entries()) column[row] = values[index] ?? 0;
        row += 1;
      }
    }
    return 1;
  }, measureMs);
  sqlite.close();
  return rate;
}
