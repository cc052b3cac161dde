import { crc32 } from 'node:zlib';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { SpaceGauge, type SqliteDatabase } from '../file/database-file.ts';
import { type DatabaseFormat, openFormatted } from '../file/database-format.ts';
import { type Columns, decodeSeries, encodeSeries } from './series-codec.ts';
import { isSorted, SeriesBuffer, sorted } from './series-buffer.ts';
import type { Rollup } from '../../contracts/sample-history.ts';
import { GOOD } from '../../domain/sample/quality.ts';
import type { HistoryBatch, HistoryPage, HistoryPageRequest, RollupRequest } from './history-protocol.ts';
import { REBUILD_TABLE, RollupRebuild } from './rollup-rebuild.ts';
import { type RatedColumns, ROLLUP_TABLES, RollupTables } from './rollup-tables.ts';

/** Samples of a full chunk. */
const CHUNK_SAMPLES = 8192;
/** Number of a tag's small chunks that are joined for any number of samples: ten minutes of flushes. */
const SMALL_CHUNKS_MAX = 120;
/** Samples of one page, so that appends can run between the pages of a long read. */
const PAGE_SAMPLES = 262_144;
/** A page has this many times the wanted samples. The caller does the last thinning. */
const OVERSAMPLING = 4;
const DELETE_CHUNKS_MAX = 200;

/*
 * `full` is 0 for a chunk that a flush wrote, a few seconds of one tag, and 1 for a chunk joined from these. Both are
 * read the same way, so that a crash between a flush and a join loses nothing.
 */
const TABLES = `
CREATE TABLE tag (tag INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE chunk (
  chunk INTEGER PRIMARY KEY AUTOINCREMENT,
  tag INTEGER NOT NULL,
  full INTEGER NOT NULL,
  from_ms REAL NOT NULL,
  to_ms REAL NOT NULL,
  count INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  data BLOB NOT NULL
);
CREATE INDEX chunk_time ON chunk (tag, to_ms, from_ms, count);
CREATE INDEX chunk_small ON chunk (tag, count) WHERE full = 0;
`;

/** The last stored batch, so that a batch that is sent twice is stored once. */
const LAST_BATCH = 'CREATE TABLE last_batch (id TEXT NOT NULL);';

export const historyFormat: DatabaseFormat = {
  name: 'sample history',
  migrations: [
    (database) => database.exec(TABLES),
    (database) => database.exec(LAST_BATCH + ROLLUP_TABLES + REBUILD_TABLE),
  ],
};

type ChunkRow = { readonly chunk: number; readonly checksum: number; readonly data: Uint8Array };

/** The open history file: chunks of samples by tag and time. */
export class HistoryDatabase {
  readonly #sqlite: SqliteDatabase;
  readonly #gauge: SpaceGauge;
  readonly #statements;
  readonly #tags = new Map<string, number>();
  readonly #small = new Map<number, { chunks: number; samples: number }>();
  #lastBatch: string | undefined;
  readonly #rollups: RollupTables;
  readonly #rebuild: RollupRebuild;
  #damagedChunks = 0;

  constructor(path: string, bytesMax: number) {
    this.#sqlite = openFormatted(path, bytesMax, historyFormat);
    try {
      this.#gauge = new SpaceGauge(this.#sqlite, bytesMax);
      this.#statements = prepareHistoryStatements(this.#sqlite);
      this.#rollups = new RollupTables(this.#sqlite);
      this.#rebuild = new RollupRebuild(this.#sqlite);
      this.#load();
    } catch (error) {
      this.#sqlite.close();
      throw error;
    }
  }

  /** Number of damaged chunks and rollups found since the file was opened. They are omitted. */
  get damaged(): number {
    return this.#damagedChunks + this.#rollups.damaged;
  }

  get space() {
    return this.#gauge.read();
  }

  /** Stores a batch in one transaction, unless it is the last one that was stored. */
  append({ id, tags, counts, timesMs, values, qualities }: HistoryBatch): void {
    if (id === this.#lastBatch) return;
    let offset = 0;
    this.#transaction(() => {
      this.#statements.setLastBatch.run(id);
      for (const [index, name] of tags.entries()) {
        const count = counts[index] ?? 0;
        const end = offset + count;
        const columns = {
          timesMs: timesMs.subarray(offset, end),
          values: values.subarray(offset, end),
          qualities: qualities.subarray(offset, end),
        };
        const tag = this.#tagOf(name);
        this.#addChunk(tag, goodOf(columns), 0);
        this.#rollups.add(tag, columns);
        offset = end;
      }
    });
    this.#lastBatch = id;
  }

  /** Joins the small chunks of one tag. @returns True if another tag is due. */
  join(): boolean {
    if (this.#rebuild.isActive) return false;
    const due = [...this.#small].filter(
      ([, { chunks, samples }]) => chunks >= SMALL_CHUNKS_MAX || samples >= CHUNK_SAMPLES,
    );
    const tag = due[0]?.[0];
    if (tag === undefined) return false;
    this.#transaction(() => this.#joinTag(tag));
    return due.length > 1;
  }

  page(request: HistoryPageRequest): HistoryPage {
    const tag = this.#tags.get(request.tag);
    if (tag === undefined) return { timesMs: new Float64Array(), values: new Float64Array(), next: undefined };
    const after = request.after ?? -Number.MAX_VALUE;
    const { fromMs, toMs } = request;
    const next = this.#pageEnd(tag, fromMs, after, toMs);
    const stride = this.#stride(tag, request);
    const buffer = new SeriesBuffer();
    for (const row of this.#statements.chunks.iterate(tag, fromMs, after, Math.min(next ?? toMs, toMs))) {
      const columns = this.#decoded(row as ChunkRow);
      if (columns !== undefined) take(columns, buffer, fromMs, after, Math.min(next ?? toMs, toMs), stride);
    }
    const { timesMs, values } = sorted(buffer.columns);
    return {
      timesMs: timesMs.slice(),
      values: values.slice(),
      next: next === undefined || next >= toMs ? undefined : next,
    };
  }

  /** Deletes chunks that ended before `oldestMs`, oldest first. @returns True if there may be more. */
  expire(oldestMs: EpochMs): boolean {
    const rows = this.#statements.oldest.all(DELETE_CHUNKS_MAX) as { readonly chunk: number; readonly to_ms: number }[];
    const expired = rows.filter(({ to_ms }) => to_ms < oldestMs);
    this.#delete(expired);
    return expired.length > 0;
  }

  /** Returns the minutes or hours of a tag; empty if the tag is unknown. */
  rollup(request: RollupRequest): Rollup {
    return this.#rollups.read(this.#tags.get(request.tag), request);
  }

  /** Rolls up chunks of an old file, packs ended hours, and deletes old rollups. @returns True if there is more to do. */
  keepRollups(nowMs: EpochMs, oldestMs: EpochMs): boolean {
    return this.#transaction(() => {
      this.#rebuild.step(this.#rollups, (row) => this.#decoded(row));
      const more = [this.#rollups.pack(nowMs), this.#rollups.expire(oldestMs), this.#rebuild.isActive];
      return more.includes(true);
    });
  }

  /** Deletes the oldest chunks or rollups, of any age. @returns False if there is nothing left to delete. */
  deleteOldest(): boolean {
    // Rollups are small and valuable, so they may use half of the file before samples do.
    const manyRollups = this.#rollups.bytes > this.space.bytesMax / 2;
    if (manyRollups && this.#transaction(() => this.#rollups.expire(Infinity))) return true;
    const rows = this.#statements.oldest.all(DELETE_CHUNKS_MAX) as { readonly chunk: number; readonly count: number }[];
    this.#delete(rows);
    return rows.length > 0 || this.#transaction(() => this.#rollups.expire(Infinity));
  }

  close(): void {
    this.#sqlite.close();
  }

  #load(): void {
    this.#tags.clear();
    this.#small.clear();
    for (const row of this.#sqlite.prepare('SELECT tag, name FROM tag').all() as { tag: number; name: string }[])
      this.#tags.set(row.name, row.tag);
    this.#lastBatch = this.#statements.lastBatch.get() as string | undefined;
    for (const row of this.#statements.smallTotals.all() as { tag: number; chunks: number; samples: number }[])
      this.#small.set(row.tag, { chunks: row.chunks, samples: row.samples });
  }

  /** Runs one transaction. If it fails, the state in memory is read from the file again. */
  #transaction<T>(work: () => T): T {
    try {
      return this.#sqlite.transaction(work)();
    } catch (error) {
      this.#load();
      this.#rollups.load();
      throw error;
    }
  }

  #tagOf(name: string): number {
    const existing = this.#tags.get(name);
    if (existing !== undefined) return existing;
    const tag = Number(this.#statements.addTag.run(name).lastInsertRowid);
    this.#tags.set(name, tag);
    return tag;
  }

  #addChunk(tag: number, columns: Columns, full: 0 | 1): void {
    const count = columns.timesMs.length;
    if (count === 0) return;
    const data = encodeSeries(columns, count);
    const { min, max } = extent(columns.timesMs);
    this.#statements.addChunk.run(tag, full, min, max, count, crc32(data), data);
    if (full === 1) return;
    const small = this.#small.get(tag) ?? { chunks: 0, samples: 0 };
    this.#small.set(tag, { chunks: small.chunks + 1, samples: small.samples + count });
  }

  #joinTag(tag: number): void {
    const buffer = new SeriesBuffer();
    const rows = this.#statements.smallChunks.all(tag) as ChunkRow[];
    for (const row of rows) {
      const columns = this.#decoded(row);
      if (columns !== undefined) buffer.append(columns);
    }
    for (const { chunk } of rows) this.#statements.remove.run(chunk);
    const { timesMs, values } = sorted(buffer.columns);
    for (let from = 0; from < timesMs.length; from += CHUNK_SAMPLES) {
      const to = Math.min(from + CHUNK_SAMPLES, timesMs.length);
      this.#addChunk(tag, { timesMs: timesMs.subarray(from, to), values: values.subarray(from, to) }, 1);
    }
    this.#small.delete(tag);
  }

  #delete(rows: readonly { readonly chunk: number }[]): void {
    if (rows.length === 0) return;
    this.#transaction(() => {
      for (const { chunk } of rows) this.#statements.remove.run(chunk);
    });
    this.#load();
  }

  /** Returns the time at which a page of `PAGE_SAMPLES` ends; undefined if the rest fits into one page. */
  #pageEnd(tag: number, fromMs: number, after: number, toMs: number): number | undefined {
    let samples = 0;
    for (const row of this.#statements.ends.all(tag, fromMs, after, toMs) as { to_ms: number; count: number }[]) {
      samples += row.count;
      if (samples >= PAGE_SAMPLES) return row.to_ms;
    }
    return undefined;
  }

  #stride(tag: number, { fromMs, toMs, limit }: HistoryPageRequest): number {
    if (limit === undefined) return 1;
    const estimate = Number(this.#statements.estimate.get(toMs, fromMs, tag, fromMs, toMs) ?? 0);
    return Math.max(1, Math.floor(estimate / (Math.max(1, limit) * OVERSAMPLING)));
  }

  #decoded({ checksum, data }: ChunkRow): Columns | undefined {
    // Damage may change the type of a value, in spite of the column's type.
    if (data instanceof Uint8Array && crc32(data) === checksum) return decodeSeries(data);
    this.#damagedChunks += 1;
    return undefined;
  }
}

function prepareHistoryStatements(sqlite: SqliteDatabase) {
  const within = 'tag = ? AND to_ms >= ? AND to_ms > ? AND from_ms <= ?';
  return {
    lastBatch: sqlite.prepare('SELECT id FROM last_batch').pluck(),
    setLastBatch: sqlite.prepare('INSERT OR REPLACE INTO last_batch (rowid, id) VALUES (1, ?)'),
    addTag: sqlite.prepare('INSERT INTO tag (name) VALUES (?)'),
    addChunk: sqlite.prepare(
      'INSERT INTO chunk (tag, full, from_ms, to_ms, count, checksum, data) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    smallTotals: sqlite.prepare(
      'SELECT tag, count(*) AS chunks, sum(count) AS samples FROM chunk WHERE full = 0 GROUP BY tag',
    ),
    smallChunks: sqlite.prepare('SELECT chunk, checksum, data FROM chunk WHERE tag = ? AND full = 0 ORDER BY chunk'),
    remove: sqlite.prepare('DELETE FROM chunk WHERE chunk = ?'),
    oldest: sqlite.prepare('SELECT chunk, to_ms, count FROM chunk ORDER BY chunk LIMIT ?'),
    ends: sqlite.prepare(`SELECT to_ms, count FROM chunk WHERE ${within} ORDER BY to_ms`),
    chunks: sqlite.prepare(`SELECT chunk, checksum, data FROM chunk WHERE ${within} ORDER BY to_ms, chunk`),
    /** Number of samples in a time span. A chunk at the edge counts by the part inside. */
    estimate: sqlite
      .prepare(
        `SELECT sum(count * CASE WHEN to_ms > from_ms THEN (min(to_ms, ?) - max(from_ms, ?)) / (to_ms - from_ms) ELSE 1 END)
         FROM chunk WHERE tag = ? AND to_ms >= ? AND from_ms <= ?`,
      )
      .pluck(),
  };
}

function goodOf({ timesMs, values, qualities }: Required<RatedColumns>): Columns {
  const isGood = (_: number, index: number): boolean => qualities[index] === GOOD;
  if (qualities.every((quality) => quality === GOOD)) return { timesMs, values };
  return { timesMs: timesMs.filter(isGood), values: values.filter(isGood) };
}

function extent(times: Float64Array): { readonly min: number; readonly max: number } {
  let [min, max] = [Infinity, -Infinity];
  for (const time of times) {
    if (time < min) min = time;
    if (time > max) max = time;
  }
  // Rounded outward to the microsecond, the resolution of the codec.
  return { min: Math.floor(min * 1000) / 1000, max: Math.ceil(max * 1000) / 1000 };
}

function take(columns: Columns, buffer: SeriesBuffer, from: number, after: number, to: number, stride: number): void {
  const { timesMs, values } = columns;
  const all = timesMs.length > 0 && (timesMs[0] ?? 0) >= from && (timesMs[0] ?? 0) > after && isSorted(timesMs);
  if (all && stride === 1 && (timesMs.at(-1) ?? Infinity) <= to) return buffer.append(columns);
  for (let index = 0; index < timesMs.length; index += stride) {
    const time = timesMs[index] ?? 0;
    if (time >= from && time > after && time <= to) buffer.push(time, values[index] ?? Number.NaN);
  }
}
