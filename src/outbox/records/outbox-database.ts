import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { RecordKind } from '../../domain/record/record.ts';
import type { RecordColumns } from '../../domain/record/verdict-columns.ts';
import { DatabaseDamage, type SqliteDatabase } from '../file/database-file.ts';
import { openFormatted, openFormattedReadOnly } from '../file/database-format.ts';
import { leaveCheckpoints, sizeBudget } from '../file/size-budget.ts';
import { rowChecksum } from '../file/row-checksum.ts';
import type { UplinkInterest } from '../file/storage-protocol.ts';
import { Epochs } from './epochs.ts';
import { LossCounts } from './loss-counts.ts';
import { LossLedger } from './loss-ledger.ts';
import { OutboxCursors } from './outbox-cursors.ts';
import { NO_WATCH, outboxFormat, type OutboxStatements, parseJson, prepareStatements } from './outbox-schema.ts';
import { isRecordKind, RecordRows } from './record-rows.ts';
import { BUCKET_SPAN, bucketOf, RecordCounts } from './record-counts.ts';

export type OutboxDatabaseOptions = {
  readonly path: string;
  readonly agentId: string;
  /** Maximum size of the database and its WAL. */
  readonly bytesMax: number;
  readonly uplinks: readonly UplinkInterest[];
  /** Counts losses over several openings of the file. */
  readonly lossCounts?: LossCounts;
  /** For a process other than the agent: nothing is written, and `commit` fails. */
  readonly readOnly?: boolean;
};

/** A row to insert. */
export type NewRow = {
  readonly kind: RecordKind;
  readonly watch?: string | undefined;
  readonly timestampMs: EpochMs;
  /** JSON, or columns. */
  readonly body: string | RecordColumns;
  readonly key: string | null;
  readonly originalId: string | null;
};

/**
 * The open outbox file: rows, epochs, cursors, losses and counts.
 *
 * The state in memory (sequence, counts) changes only within `commit`. It is read from the file again when a commit fails, so
 * that it is never ahead of the file. Cursors also move outside, and then return to where they were before the commit.
 */
export class OutboxDatabase {
  readonly sqlite: SqliteDatabase;
  readonly statements: OutboxStatements;
  readonly epochs: Epochs;
  readonly losses: LossLedger;
  readonly cursors: OutboxCursors;
  readonly rows: RecordRows;
  #sequence = 0;
  #counts = new RecordCounts();

  /** @throws {Error} SqliteError or DatabaseDamage if the file is not a sound outbox. */
  constructor({
    path,
    agentId,
    bytesMax,
    uplinks,
    lossCounts = new LossCounts(''),
    readOnly = false,
  }: OutboxDatabaseOptions) {
    const budget = sizeBudget(bytesMax);
    this.sqlite = readOnly
      ? openFormattedReadOnly(path, outboxFormat)
      : openFormatted(path, budget.fileBytes, outboxFormat);
    try {
      if (!readOnly) leaveCheckpoints(this.sqlite, budget);
      this.statements = prepareStatements(this.sqlite);
      this.epochs = new Epochs(this.sqlite, this.statements, agentId);
      this.rows = new RecordRows(this.statements, this.epochs);
      this.cursors = new OutboxCursors(this.sqlite, this.statements, bytesMax);
      this.losses = new LossLedger(this.statements, this.epochs, this.cursors, lossCounts);
      this.cursors.load(uplinks);
      this.#load();
      this.cursors.handedOut.openedAt = this.#sequence;
    } catch (error) {
      this.sqlite.close();
      throw error;
    }
  }

  /** Last sequence given to a record, which may be deleted already. */
  get sequence(): number {
    return this.#sequence;
  }

  get counts(): RecordCounts {
    return this.#counts;
  }

  /** Runs one transaction, which is on disk when this returns. Rolls back all of it if `work` or the commit throws. */
  commit<T>(work: () => T): T {
    this.sqlite.exec('BEGIN IMMEDIATE');
    const positions = this.cursors.snapshot();
    try {
      const result = work();
      this.cursors.save();
      this.losses.save();
      this.#saveCounts();
      this.sqlite.exec('COMMIT');
      this.losses.committed();
      return result;
    } catch (error) {
      if (this.sqlite.inTransaction) this.sqlite.exec('ROLLBACK');
      this.#load();
      this.cursors.restore(positions);
      this.losses.rolledBack();
      throw error;
    }
  }

  /** Within `commit`. @returns The row's sequence. */
  insert(row: NewRow): number {
    const epoch = this.epochs.present;
    const sequence = this.#sequence + 1;
    const { kind, timestampMs: timestamp, key, originalId: original_id } = row;
    const isJson = typeof row.body === 'string';
    const names = isJson ? null : this.rows.names.store(row.body.names, sequence);
    const body = isJson ? row.body : row.body.bytes;
    const watch = (isJson ? row.watch : undefined) ?? NO_WATCH;
    const checksum = rowChecksum(epoch, { sequence, kind, watch, timestamp, body, names, original_id });
    this.statements.insert.run(sequence, kind, watch, timestamp, checksum, key, original_id, body, names);
    this.#sequence = sequence;
    this.#counts.add(sequence, kind);
    return sequence;
  }

  /** Within `commit`. @param rows With kind 'unknown' for a damaged row, whose bucket is then counted again. */
  remove(rows: readonly { readonly sequence: number; readonly kind: RecordKind | 'unknown' }[]): void {
    for (const { sequence, kind } of rows) {
      if (this.statements.remove.run(sequence).changes === 0) continue;
      if (sequence === this.#sequence) this.statements.setMeta.run('sequence', String(sequence));
      if (kind === 'unknown') this.#recount(sequence);
      else this.#counts.add(sequence, kind, -1);
    }
  }

  close(): void {
    this.sqlite.close();
  }

  #load(): void {
    this.epochs.load();
    this.rows.names.reset();
    this.#sequence = this.#lastSequence();
    this.#counts = new RecordCounts();
    let counted = -1;
    for (const { bucket, counts } of this.sqlite.prepare('SELECT bucket, counts FROM bucket ORDER BY bucket').all() as {
      readonly bucket: number;
      readonly counts: string;
    }[]) {
      this.#counts.load(bucket, parseJson(counts) as number[]);
      counted = bucket;
    }
    this.#countRows((counted + 1) * BUCKET_SPAN - 1, this.#sequence);
  }

  #lastSequence(): number {
    // Files of format 1 have a row of sqlite_sequence; `remove` stores the sequence of a deleted last record.
    const given = this.sqlite.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").pluck().get();
    const removed = this.statements.getMeta.get('sequence');
    const stored = this.sqlite.prepare('SELECT max(sequence) FROM outbox').pluck().get();
    const sequence = Math.max(Number(given ?? 0), Number(removed ?? 0), Number(stored ?? 0));
    if (!Number.isSafeInteger(sequence * 2)) throw new DatabaseDamage(`the last sequence is ${sequence}`);
    return sequence;
  }

  #recount(sequence: number): void {
    const bucket = bucketOf(sequence);
    this.#counts.clear(bucket);
    this.#countRows(bucket * BUCKET_SPAN - 1, (bucket + 1) * BUCKET_SPAN - 1);
  }

  #countRows(after: number, through: number): void {
    const found = this.sqlite
      .prepare(
        `SELECT sequence / ${BUCKET_SPAN} AS bucket, kind, count(*) AS count FROM outbox
         WHERE sequence > ? AND sequence <= ? GROUP BY 1, 2`,
      )
      .all(after, through) as { readonly bucket: number; readonly kind: string; readonly count: number }[];
    for (const { bucket, kind, count } of found)
      if (isRecordKind(kind)) this.#counts.add(bucket * BUCKET_SPAN, kind, count);
  }

  #saveCounts(): void {
    let isRemoved = false;
    for (const { bucket, counts } of this.#counts.takeChanged(this.#sequence)) {
      isRemoved ||= counts === undefined;
      if (counts === undefined) this.#removeBucket(bucket);
      else this.statements.saveBucket.run(bucket, JSON.stringify(counts));
    }
    if (isRemoved) this.rows.names.removeBefore(Math.min(this.#counts.first, bucketOf(this.#sequence)));
  }

  #removeBucket(bucket: number): void {
    this.statements.removeBucket.run(bucket);
    this.statements.removeIndex.run(bucket);
  }
}
