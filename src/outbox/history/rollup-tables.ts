import { crc32 } from 'node:zlib';
import { type Rollup, rollupSpansMs } from '../../contracts/sample-history.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { GOOD } from '../../domain/sample/quality.ts';
import type { SqliteDatabase } from '../file/database-file.ts';
import type { RollupRequest } from './history-protocol.ts';
import { type Aggregate, decodeMinutes, encodeMinutes, joinAggregates } from './rollup-block.ts';
import { SpanColumns } from './span-columns.ts';

const MINUTE_MS = 60_000;
const HOUR_MINUTES = 60;
/** Wait after the end of an hour until its minutes are packed, for samples that arrive late. */
const PACK_DELAY_MINUTES = 2;
/** Number of tag numbers whose minutes are packed in one transaction. */
const PACK_TAGS = 64;
/** Hours that are deleted in one transaction. */
const EXPIRE_HOURS_MAX = 2000;
/** Space of a packed hour of one tag in both tables, for the share of the rollups in the file. */
const HOUR_BYTES = 2100;

/*
 * `minute` has the minutes of the current hour, in the order in which they are written: a flush changes few pages. When an hour
 * has ended, its minutes are packed: `hour` has one small row for each tag and hour, so that months of one tag are neighbours
 * on disk, and `hour_minutes` has the minutes of the same hour in one block. A sample that arrives later begins a new row in
 * `minute`, which the next packing joins to the packed hour.
 */
export const ROLLUP_TABLES = `
CREATE TABLE minute (
  minute INTEGER NOT NULL,
  tag INTEGER NOT NULL,
  low REAL,
  high REAL,
  sum REAL NOT NULL,
  count INTEGER NOT NULL,
  quality INTEGER NOT NULL,
  last_ms REAL NOT NULL,
  PRIMARY KEY (minute, tag)
) WITHOUT ROWID;
CREATE TABLE hour (
  tag INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  low REAL,
  high REAL,
  sum REAL NOT NULL,
  count INTEGER NOT NULL,
  quality INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  PRIMARY KEY (tag, hour)
) WITHOUT ROWID;
CREATE TABLE hour_minutes (
  tag INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  minutes BLOB NOT NULL
);
CREATE UNIQUE INDEX hour_minutes_tag ON hour_minutes (tag, hour);
CREATE INDEX hour_minutes_hour ON hour_minutes (hour);
`;

/** Row of `minute` and `hour`. SQLite stores NaN as NULL. */
type AggregateRow = {
  readonly low: number | null;
  readonly high: number | null;
  readonly sum: number;
  readonly count: number;
  readonly quality: number;
};
type MinuteRow = AggregateRow & { readonly minute: number; readonly tag: number };
type HourRow = AggregateRow & { readonly hour: number; readonly checksum: number };
type BlockRow = { readonly hour: number; readonly checksum: number; readonly minutes: unknown };

/** Samples of one tag as columns of equal length. Without `qualities`, all are good. */
export type RatedColumns = {
  readonly timesMs: Float64Array;
  readonly values: Float64Array;
  readonly qualities?: Uint8Array;
};

/** The rollups in the history file. The caller runs the transactions. */
export class RollupTables {
  readonly #statements;
  /** First tag number of the next packing. */
  #packFrom = 0;
  /** Number of packed hours. */
  #hours = 0;
  /** Number of damaged rows found. They are omitted. */
  damaged = 0;

  constructor(sqlite: SqliteDatabase) {
    this.#statements = prepareRollupStatements(sqlite);
    this.load();
  }

  /** Reads the state in memory from the file, also after a failed transaction. */
  load(): void {
    this.#hours = Number(this.#statements.hours.get());
    this.#packFrom = 0;
  }

  /** Estimated space of the packed hours. */
  get bytes(): number {
    return this.#hours * HOUR_BYTES;
  }

  /** Adds samples to the minutes of a tag. */
  add(tag: number, { timesMs, values, qualities }: RatedColumns): void {
    let from = 0;
    while (from < timesMs.length) {
      const minute = minuteOf(timesMs[from] ?? 0);
      let to = from + 1;
      while (to < timesMs.length && minuteOf(timesMs[to] ?? 0) === minute) to += 1;
      this.#addRun(tag, minute, {
        timesMs: timesMs.subarray(from, to),
        values: values.subarray(from, to),
        qualities: qualities?.subarray(from, to),
      });
      from = to;
    }
  }

  /** Packs the minutes of the oldest hour that has ended, for a few tags. @returns True if there is more to pack. */
  pack(nowMs: EpochMs): boolean {
    const first = this.#statements.firstMinute.get() as number | null;
    if (first === null) return false;
    const hour = Math.floor(first / HOUR_MINUTES);
    if ((hour + 1) * HOUR_MINUTES + PACK_DELAY_MINUTES > minuteOf(nowMs)) return false;
    const span = [hour * HOUR_MINUTES, (hour + 1) * HOUR_MINUTES, this.#packFrom, this.#packFrom + PACK_TAGS];
    const rows = this.#statements.minutesOfTags.all(span) as MinuteRow[];
    for (const [tag, minutes] of Map.groupBy(rows, ({ tag: number }) => number)) this.#packHour(tag, hour, minutes);
    this.#statements.removeMinutes.run(span);
    this.#packFrom += PACK_TAGS;
    if (this.#packFrom > Number(this.#statements.lastTag.get())) this.#packFrom = 0;
    return true;
  }

  /** Returns the spans of one tag that begin in [fromMs, toMs]. @param tag Undefined if the tag was never stored. */
  read(tag: number | undefined, { tag: name, fromMs, toMs, resolution }: RollupRequest): Rollup {
    const spanMs = rollupSpansMs[resolution];
    const [from, to] = [Math.ceil(fromMs / spanMs), Math.floor(toMs / spanMs)];
    if (tag === undefined) return new SpanColumns(new Map()).rollup(name, spanMs);
    const columns = resolution === '1m' ? this.#minutes(tag, from, to) : this.#hoursOf(tag, from, to);
    return columns.rollup(name, spanMs);
  }

  /** Deletes the oldest packed hours, up to `beforeMs`. @returns True if there may be more. */
  expire(beforeMs: EpochMs): boolean {
    const hour = Math.floor(beforeMs / MINUTE_MS / HOUR_MINUTES);
    const rows = this.#statements.oldest.all(hour, EXPIRE_HOURS_MAX) as {
      readonly tag: number;
      readonly hour: number;
    }[];
    for (const row of rows) {
      this.#statements.removeHour.run(row.tag, row.hour);
      this.#statements.removeBlock.run(row.tag, row.hour);
    }
    this.#hours -= rows.length;
    return rows.length > 0;
  }

  #addRun(tag: number, minute: number, { timesMs, values, qualities }: RatedColumns): void {
    let [low, high, sum, count] = [Infinity, -Infinity, 0, 0];
    let [quality, lastMs] = [GOOD as number, -Infinity];
    for (let index = 0; index < timesMs.length; index += 1) {
      const timeMs = timesMs[index] ?? 0;
      const code = qualities?.[index] ?? GOOD;
      if (timeMs >= lastMs) [quality, lastMs] = [code, timeMs];
      if (code !== GOOD) continue;
      const value = values[index] ?? 0;
      if (value < low) low = value;
      if (value > high) high = value;
      sum += value;
      count += 1;
    }
    if (count === 0) [low, high] = [Number.NaN, Number.NaN];
    this.#statements.addMinute.run(minute, tag, low, high, sum, count, quality, lastMs);
  }

  #packHour(tag: number, hour: number, rows: readonly MinuteRow[]): void {
    const minutes = this.#block(tag, hour);
    for (const row of rows) minutes.set(row.minute, joinAggregates(minutes.get(row.minute), aggregateOf(row)));
    const data = encodeMinutes(minutes);
    const ordered = [...minutes].toSorted(([a], [b]) => a - b).map(([, aggregate]) => aggregate);
    const whole = ordered.reduce<Aggregate | undefined>(joinAggregates, undefined);
    if (whole === undefined) return;
    const { low, high, sum, count, quality } = whole;
    const isNew = this.#statements.hour.get(tag, hour) === undefined;
    this.#statements.setHour.run(tag, hour, low, high, sum, count, quality, hourChecksum(tag, hour, whole));
    this.#statements.setBlock.run(tag, hour, crc32(data), data);
    if (isNew) this.#hours += 1;
  }

  #block(tag: number, hour: number): Map<number, Aggregate> {
    const minutes = new Map<number, Aggregate>();
    const row = this.#statements.block.get(tag, hour) as BlockRow | undefined;
    if (row !== undefined) this.#decode(row, (minute, aggregate) => minutes.set(minute, aggregate));
    return minutes;
  }

  #decode({ hour, minutes, checksum }: BlockRow, take: (minute: number, aggregate: Aggregate) => void): void {
    if (!decodeMinutes(hour, minutes, checksum, take)) this.damaged += 1;
  }

  #minutes(tag: number, from: number, to: number): SpanColumns {
    const found = new SpanColumns(this.#openSpans(tag, from, to, 1));
    const hours = [Math.floor(from / HOUR_MINUTES), Math.floor(to / HOUR_MINUTES)];
    for (const row of this.#statements.blocks.iterate(tag, ...hours) as Iterable<BlockRow>)
      this.#decode(row, (minute, aggregate) => {
        if (minute >= from && minute <= to) found.add(minute, aggregate);
      });
    return found;
  }

  #hoursOf(tag: number, from: number, to: number): SpanColumns {
    const open = this.#openSpans(tag, from * HOUR_MINUTES, (to + 1) * HOUR_MINUTES - 1, HOUR_MINUTES);
    const found = new SpanColumns(open);
    for (const row of this.#statements.hoursOfTag.iterate(tag, from, to) as Iterable<HourRow>) {
      const aggregate = aggregateOf(row);
      if (hourChecksum(tag, row.hour, aggregate) === row.checksum) found.add(row.hour, aggregate);
      else this.damaged += 1;
    }
    return found;
  }

  /** Returns the minutes that are not packed yet, by span. */
  #openSpans(tag: number, from: number, to: number, minutesPerSpan: number): ReadonlyMap<number, Aggregate> {
    const found = new Map<number, Aggregate>();
    for (const row of this.#statements.openMinutes.iterate({ tag, from, to }) as Iterable<MinuteRow>) {
      const span = Math.floor(row.minute / minutesPerSpan);
      found.set(span, joinAggregates(found.get(span), aggregateOf(row)));
    }
    return found;
  }
}

function minuteOf(timeMs: EpochMs): number {
  return Math.floor(timeMs / MINUTE_MS);
}

function aggregateOf({ low, high, sum, count, quality }: AggregateRow): Aggregate {
  return { low: low ?? Number.NaN, high: high ?? Number.NaN, sum, count, quality };
}

/** Computes the checksum of a row of `hour`, because SQLite's own checks miss damage inside a value. */
function hourChecksum(tag: number, hour: number, { low, high, sum, count, quality }: Aggregate): number {
  return crc32(new Uint8Array(Float64Array.of(tag, hour, low, high, sum, count, quality).buffer));
}

function prepareRollupStatements(sqlite: SqliteDatabase) {
  const columns = 'low, high, sum, count, quality';
  return {
    addMinute: sqlite.prepare(
      `INSERT INTO minute (minute, tag, ${columns}, last_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (minute, tag) DO UPDATE SET
         low = coalesce(min(low, excluded.low), low, excluded.low),
         high = coalesce(max(high, excluded.high), high, excluded.high),
         sum = sum + excluded.sum,
         count = count + excluded.count,
         quality = CASE WHEN excluded.last_ms >= last_ms THEN excluded.quality ELSE quality END,
         last_ms = max(last_ms, excluded.last_ms)`,
    ),
    firstMinute: sqlite.prepare('SELECT min(minute) FROM minute').pluck(),
    minutesOfTags: sqlite.prepare(
      `SELECT minute, tag, ${columns} FROM minute WHERE minute >= ? AND minute < ? AND tag >= ? AND tag < ?`,
    ),
    removeMinutes: sqlite.prepare('DELETE FROM minute WHERE minute >= ? AND minute < ? AND tag >= ? AND tag < ?'),
    lastTag: sqlite.prepare('SELECT coalesce(max(tag), 0) FROM tag').pluck(),
    // Steps from minute to minute: a range of the primary key would visit the rows of every tag.
    openMinutes: sqlite.prepare(
      `WITH RECURSIVE present (minute) AS (
         SELECT (SELECT min(minute) FROM minute WHERE minute >= :from)
         UNION ALL
         SELECT (SELECT min(minute) FROM minute WHERE minute > present.minute) FROM present
         WHERE present.minute <= :to
       )
       SELECT minute, tag, ${columns} FROM present CROSS JOIN minute USING (minute)
       WHERE tag = :tag AND minute <= :to ORDER BY minute`,
    ),
    hours: sqlite.prepare('SELECT count(*) FROM hour_minutes').pluck(),
    hour: sqlite.prepare('SELECT hour FROM hour WHERE tag = ? AND hour = ?'),
    setHour: sqlite.prepare(
      `INSERT OR REPLACE INTO hour (tag, hour, ${columns}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    block: sqlite.prepare('SELECT hour, checksum, minutes FROM hour_minutes WHERE tag = ? AND hour = ?'),
    setBlock: sqlite.prepare('INSERT OR REPLACE INTO hour_minutes (tag, hour, checksum, minutes) VALUES (?, ?, ?, ?)'),
    blocks: sqlite.prepare(
      'SELECT hour, checksum, minutes FROM hour_minutes WHERE tag = ? AND hour BETWEEN ? AND ? ORDER BY hour',
    ),
    hoursOfTag: sqlite.prepare(
      `SELECT hour, ${columns}, checksum FROM hour WHERE tag = ? AND hour BETWEEN ? AND ? ORDER BY hour`,
    ),
    oldest: sqlite.prepare('SELECT tag, hour FROM hour_minutes WHERE hour < ? ORDER BY hour LIMIT ?'),
    removeHour: sqlite.prepare('DELETE FROM hour WHERE tag = ? AND hour = ?'),
    removeBlock: sqlite.prepare('DELETE FROM hour_minutes WHERE tag = ? AND hour = ?'),
  };
}
