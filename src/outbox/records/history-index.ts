import { crc32 } from 'node:zlib';
import type { HistoryQuery } from '../../contracts/record-store.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { StoredRecord } from '../../domain/record/record.ts';
import type { SqliteDatabase } from '../file/database-file.ts';
import { isIntactText } from '../file/row-checksum.ts';
import type { OutboxDatabase } from './outbox-database.ts';
import type { OutboxRow } from './outbox-schema.ts';
import { BUCKET_SPAN } from './record-counts.ts';
import type { RecordRows } from './record-rows.ts';

const LIMIT_MAX = 100_000;
const SPANS = `SELECT bucket, from_ms, to_ms FROM bucket LEFT JOIN history_index USING (bucket)
  WHERE from_ms IS NULL OR (to_ms >= ? AND from_ms <= ?)`;

/** Records of one watch and kind in a bucket: sequences after the bucket's first, and milliseconds after its `from_ms`. */
type Group = readonly [kind: string, watch: string, offsets: readonly number[], times: readonly number[]];
type Found = { readonly sequence: number; readonly timestamp: EpochMs };
type Located = Found & Pick<OutboxRow, 'kind' | 'watch' | 'names'>;
/** `from_ms` is null for a bucket without a row of the index; `to_ms` is not read then. */
type Span = { readonly bucket: number; readonly from_ms: EpochMs | null; readonly to_ms: EpochMs };

/**
 * Finds the records of a watch by time.
 *
 * A full bucket of sequences has one row of the index, written once. An index entry for each record would change as many
 * pages in a commit as there are watches. The bucket that still grows, and buckets without a row, are scanned.
 */
export class HistoryIndex {
  readonly #rows: RecordRows;
  readonly #record;
  readonly #statements;

  constructor({ sqlite, rows, statements }: Pick<OutboxDatabase, 'sqlite' | 'rows' | 'statements'>) {
    this.#rows = rows;
    this.#record = statements.bySequence;
    this.#statements = prepareIndexStatements(sqlite);
  }

  /** Writes the row of one full bucket. @returns True if there may be another. */
  indexNext(database: Pick<OutboxDatabase, 'commit'>): boolean {
    const bucket = this.#statements.unindexed.get() as number | undefined;
    if (bucket === undefined) return false;
    const located = this.#scan(bucket, bucket).filter(({ kind, watch }) => watch !== '' || kind === 'alarm');
    const fromMs = located.reduce((least, { timestamp }) => Math.min(least, timestamp), Infinity);
    const toMs = located.reduce((most, { timestamp }) => Math.max(most, timestamp), -Infinity);
    const groups = Map.groupBy(located, ({ kind, watch }) => JSON.stringify([kind, watch]));
    const text = JSON.stringify(
      [...groups.values()].map((group) => [
        group[0]?.kind,
        group[0]?.watch,
        group.map(({ sequence }) => sequence - bucket * BUCKET_SPAN),
        group.map(({ timestamp }) => timestamp - fromMs),
      ]),
    );
    database.commit(() => this.#statements.add.run(bucket, fromMs, toMs, crc32(text), text));
    return true;
  }

  /** Returns records of a kind, of one or all watches, at most `limit`. Damaged ones are omitted. */
  find(query: HistoryQuery): readonly StoredRecord[] {
    const { watch, kind, fromMs, newestFirst = false, before } = query;
    const toMs = Math.min(query.toMs, before?.timestampMs ?? Infinity);
    const isBefore = ({ timestamp, sequence }: Found) =>
      before === undefined || timestamp < before.timestampMs || sequence < before.sequence;
    const limit = Math.min(query.limit, LIMIT_MAX);
    const isWanted = (located: Found & { readonly kind: string; readonly watch: string }) =>
      located.kind === kind &&
      (watch === undefined || located.watch === watch) &&
      located.timestamp >= fromMs &&
      located.timestamp <= toMs &&
      isBefore(located);
    const first = newestFirst ? newest : oldest;
    let found: readonly Found[] = [];
    const spans = newestFirst ? this.#statements.spansBack : this.#statements.spans;
    // Rows without an index first: they have no `from_ms`, and any of them may be the oldest or newest.
    for (const { bucket, from_ms, to_ms } of spans.all(fromMs, toMs) as Span[]) {
      const last = found[limit - 1]?.timestamp;
      if (last !== undefined && from_ms !== null && (newestFirst ? to_ms < last : from_ms > last)) break;
      const more = this.#indexed(bucket, watch, kind) ?? this.#scan(bucket, bucket).filter(isWanted);
      const inRange = more.filter((each) => each.timestamp >= fromMs && each.timestamp <= toMs && isBefore(each));
      found = first([...found, ...inRange], limit);
    }
    found = first([...found, ...this.#scan(this.#firstGrowing(), Infinity).filter(isWanted)], limit);
    return found.flatMap(({ sequence }) => {
      const row = this.#record.get(sequence) as OutboxRow | undefined;
      const record = row === undefined ? undefined : this.#rows.verified(row);
      return record !== undefined && isWanted({ ...record, timestamp: record.timestampMs }) ? [record] : [];
    });
  }

  #firstGrowing(): number {
    return Number(this.#statements.lastFull.get() ?? -1) + 1;
  }

  /** @returns Undefined if the bucket has no row, or a damaged one. */
  #indexed(bucket: number, watch: string | undefined, kind: string): readonly Found[] | undefined {
    const row = this.#statements.groups.get(bucket) as
      | { readonly from_ms: number; readonly checksum: number; readonly groups: string }
      | undefined;
    if (row === undefined || !isIntactText(row.groups, row.checksum)) return undefined;
    // The checksum proves that `indexNext` wrote it.
    const groups = (JSON.parse(row.groups) as readonly Group[]).filter(
      (entry) => entry[0] === kind && (watch === undefined || entry[1] === watch),
    );
    return groups.flatMap(([, , offsets, times]) =>
      offsets.map((offset, index) => ({
        sequence: bucket * BUCKET_SPAN + offset,
        timestamp: row.from_ms + (times[index] ?? 0),
      })),
    );
  }

  #scan(first: number, last: number): readonly Located[] {
    const rows = this.#statements.located.all(first * BUCKET_SPAN, (last + 1) * BUCKET_SPAN - 1) as Located[];
    return rows.map((row) => ({ ...row, watch: this.#rows.watchOf(row) }));
  }
}

function oldest(found: readonly Found[], limit: number): readonly Found[] {
  return found.toSorted((a, b) => a.timestamp - b.timestamp || a.sequence - b.sequence).slice(0, limit);
}

function newest(found: readonly Found[], limit: number): readonly Found[] {
  return found.toSorted((a, b) => b.timestamp - a.timestamp || b.sequence - a.sequence).slice(0, limit);
}

function prepareIndexStatements(sqlite: SqliteDatabase) {
  return {
    add: sqlite.prepare(
      'INSERT OR REPLACE INTO history_index (bucket, from_ms, to_ms, checksum, groups) VALUES (?, ?, ?, ?, ?)',
    ),
    unindexed: sqlite
      .prepare(
        'SELECT bucket FROM bucket WHERE bucket NOT IN (SELECT bucket FROM history_index) ORDER BY bucket DESC LIMIT 1',
      )
      .pluck(),
    spans: sqlite.prepare(`${SPANS} ORDER BY from_ms, bucket`),
    spansBack: sqlite.prepare(`${SPANS} ORDER BY to_ms IS NOT NULL, to_ms DESC, bucket DESC`),
    groups: sqlite.prepare('SELECT from_ms, checksum, groups FROM history_index WHERE bucket = ?'),
    lastFull: sqlite.prepare('SELECT max(bucket) FROM bucket').pluck(),
    located: sqlite.prepare(
      'SELECT sequence, kind, watch, names, timestamp FROM outbox WHERE sequence >= ? AND sequence <= ?',
    ),
  };
}
