import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { RecordKind, StoredRecord } from '../../domain/record/record.ts';
import { recordId, recordKinds } from '../../domain/record/record.ts';
import { invariant } from '../../platform/errors.ts';
import type { SqliteDatabase } from '../file/database-file.ts';
import { DatabaseDamage, openDatabase, openReadOnly } from '../file/database-file.ts';
import type { EpochRow, OutboxRow, OutboxStatements } from './outbox-schema.ts';
import { createSchema, prepareStatements } from './outbox-schema.ts';
import { BUCKET_SPAN, bucketOf, RecordCounts } from './record-counts.ts';
import { isIntact, rowChecksum } from '../file/row-checksum.ts';
import type { Loss, UplinkInterest } from '../file/storage-protocol.ts';
import type { PendingRange } from './uplink-cursor.ts';
import { UplinkCursor } from './uplink-cursor.ts';

export type OutboxDatabaseOptions = {
  readonly path: string;
  readonly agentId: string;
  readonly bytesMax: number;
  readonly uplinks: readonly UplinkInterest[];
  /** For another process than the agent: nothing is written, and `commit` fails. */
  readonly readOnly?: boolean;
};

/** A row on its way in. */
export type NewRow = {
  readonly kind: RecordKind;
  readonly watch: string;
  readonly timestampMs: EpochMs;
  readonly body: string;
  readonly key: string | null;
  readonly originalId: string | null;
};

/** An uplink's cursor with what is kept for it. */
export type UplinkPlace = { readonly interest: UplinkInterest; readonly cursor: UplinkCursor };

/**
 * The open outbox file: rows, epochs, cursors, losses, and the counts that go with them.
 *
 * What is kept in memory beside the file (sequence, cursors, counts) changes inside `commit` only, and is read
 * anew when a commit fails, so that it never says more than the file.
 */
export class OutboxDatabase {
  readonly sqlite: SqliteDatabase;
  readonly statements: OutboxStatements;
  readonly #options: OutboxDatabaseOptions;
  #epochs: EpochRow[] = [];
  #sequence = 0;
  #counts = new RecordCounts();
  #places = new Map<string, UplinkPlace>();
  readonly #movedCursors = new Set<string>();
  /** Records lost since this file was opened, by kind and reason. */
  readonly #lost = new Map<string, { kind: string; reason: string; count: number }>();

  /** @throws {Error} SqliteError or DatabaseDamage where the file is not a sound outbox. */
  constructor(options: OutboxDatabaseOptions) {
    this.#options = options;
    const readOnly = options.readOnly === true;
    this.sqlite = readOnly ? openReadOnly(options.path) : openDatabase(options.path, options.bytesMax);
    try {
      if (!readOnly) createSchema(this.sqlite);
      this.statements = prepareStatements(this.sqlite);
      this.#load();
    } catch (error) {
      this.sqlite.close();
      throw error;
    }
  }

  get epochs(): readonly string[] {
    return this.#epochs.map(({ epoch }) => epoch);
  }

  get epoch(): string {
    return this.#epochs.at(-1)?.epoch ?? '';
  }

  /** Last sequence given out, also where its record is long gone. */
  get sequence(): number {
    return this.#sequence;
  }

  get counts(): RecordCounts {
    return this.#counts;
  }

  get places(): ReadonlyMap<string, UplinkPlace> {
    return this.#places;
  }

  get lost(): readonly { readonly kind: string; readonly reason: string; readonly count: number }[] {
    return [...this.#lost.values()];
  }

  /** Everything up to here was acknowledged by every uplink that takes the kind. */
  deliveredThrough(kind: RecordKind): number {
    let through = this.#sequence;
    for (const { interest, cursor } of this.#places.values())
      if (interest.kinds.includes(kind)) through = Math.min(through, cursor.acknowledged);
    return through;
  }

  /** Everything up to here was acknowledged by every uplink. */
  get delivered(): number {
    return Math.min(...recordKinds.map((kind) => this.deliveredThrough(kind)));
  }

  /** One transaction, on the disk when this returns. Rolled back as a whole where `work` or the commit throws. */
  commit<T>(work: () => T): T {
    try {
      this.sqlite.exec('BEGIN IMMEDIATE');
      const result = work();
      this.#saveChanges();
      this.sqlite.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.sqlite.inTransaction) this.sqlite.exec('ROLLBACK');
      this.#load();
      throw error;
    }
  }

  /** True while cursors moved that the file does not know of yet; the next commit takes them along. */
  get cursorsMoved(): boolean {
    return this.#movedCursors.size > 0;
  }

  cursorMoved(uplink: string): void {
    this.#movedCursors.add(uplink);
  }

  /** Within `commit`. @returns The row's sequence. */
  insert(row: NewRow): number {
    invariant(this.#epochs.length > 0, 'an epoch is begun before the first record');
    const sequence = this.#sequence + 1;
    const { kind, watch, timestampMs: timestamp, body, key, originalId } = row;
    const checksum = rowChecksum(this.epoch, { sequence, kind, watch, timestamp, body, original_id: originalId });
    this.statements.insert.run(sequence, kind, watch, timestamp, checksum, key, originalId, body);
    this.#sequence = sequence;
    this.#counts.add(sequence, kind);
    return sequence;
  }

  /** Within `commit`. */
  remove(rows: readonly { readonly sequence: number; readonly kind: string }[]): void {
    for (const { sequence, kind } of rows) {
      if (this.statements.remove.run(sequence).changes === 0) continue;
      if (isRecordKind(kind)) this.#counts.add(sequence, kind, -1);
    }
  }

  /** Within `commit`: remembers a loss until it is said upstream. */
  addLoss(loss: Loss, nowMs: EpochMs, epoch = this.epoch): void {
    this.statements.addLoss.run(loss.kind, loss.reason, epoch, loss.from, loss.to, loss.count, nowMs);
    this.statements.setMeta.run('lost', String(this.lostEver + loss.count));
    const key = `${loss.kind}/${loss.reason}`;
    const count = (this.#lost.get(key)?.count ?? 0) + loss.count;
    this.#lost.set(key, { kind: loss.kind, reason: loss.reason, count });
  }

  /** Records lost since the file was made. */
  get lostEver(): number {
    return Number(this.meta('lost') ?? 0);
  }

  meta(name: string): string | undefined {
    return this.statements.getMeta.get(name) as string | undefined;
  }

  /** Within `commit`. */
  setMeta(name: string, value: string | undefined): void {
    if (value === undefined) this.statements.removeMeta.run(name);
    else this.statements.setMeta.run(name, value);
  }

  /** Within `commit`: sequences from the next one on belong to `epoch`. */
  beginEpoch(epoch: string, nowMs: EpochMs): void {
    this.statements.addEpoch.run(this.#sequence + 1, epoch, nowMs);
    this.#epochs = this.#epochs.filter(({ first_sequence }) => first_sequence <= this.#sequence);
    this.#epochs.push({ first_sequence: this.#sequence + 1, epoch });
  }

  epochAt(sequence: number): string {
    return this.#epochs.findLast(({ first_sequence }) => first_sequence <= sequence)?.epoch ?? '';
  }

  idOf(row: { readonly sequence: number; readonly original_id: string | null }): string {
    return row.original_id ?? recordId(this.#options.agentId, this.epochAt(row.sequence), row.sequence);
  }

  /** @returns Undefined where the row is not what was stored. */
  verified(row: OutboxRow): StoredRecord | undefined {
    const { sequence, kind, watch, timestamp, body } = row;
    if (!isRecordKind(kind)) return undefined;
    if (!isIntact(this.epochAt(sequence), { ...row, kind })) return undefined;
    return { id: this.idOf(row), sequence, kind, timestampMs: timestamp, watch, body };
  }

  /** Counts a bucket anew, where a row of unknown kind went. */
  recount(sequence: number): void {
    const bucket = bucketOf(sequence);
    this.#counts.clear(bucket);
    this.#countRows(bucket * BUCKET_SPAN - 1, (bucket + 1) * BUCKET_SPAN - 1);
  }

  close(): void {
    this.sqlite.close();
  }

  #load(): void {
    this.#epochs = this.sqlite
      .prepare('SELECT first_sequence, epoch FROM epoch ORDER BY first_sequence')
      .all() as EpochRow[];
    this.#sequence = this.#lastSequence();
    this.#places = this.#loadPlaces();
    this.#movedCursors.clear();
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
    const given = this.sqlite.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").pluck().get();
    const stored = this.sqlite.prepare('SELECT max(sequence) FROM outbox').pluck().get();
    const sequence = Math.max(Number(given ?? 0), Number(stored ?? 0));
    if (!Number.isSafeInteger(sequence * 2)) throw new DatabaseDamage(`the last sequence is ${sequence}`);
    return sequence;
  }

  #loadPlaces(): Map<string, UplinkPlace> {
    const stored = this.sqlite.prepare('SELECT uplink, ranges FROM cursor').all() as {
      readonly uplink: string;
      readonly ranges: string;
    }[];
    const ranges = new Map(stored.map((row) => [row.uplink, parseRanges(row.ranges)]));
    // An uplink that is new starts with the oldest record there is: one that was renamed must lose nothing.
    return new Map(
      this.#options.uplinks.map((interest) => [
        interest.id,
        { interest, cursor: new UplinkCursor(ranges.get(interest.id) ?? []) },
      ]),
    );
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

  #saveChanges(): void {
    for (const uplink of this.#movedCursors) {
      const ranges = this.#places.get(uplink)?.cursor.ranges ?? [];
      this.statements.saveCursor.run(
        uplink,
        JSON.stringify(ranges.map(({ acknowledged, through }) => [acknowledged, through ?? null])),
      );
    }
    this.#movedCursors.clear();
    for (const { bucket, counts } of this.#counts.takeChanged(this.#sequence)) {
      if (counts === undefined) this.statements.removeBucket.run(bucket);
      else this.statements.saveBucket.run(bucket, JSON.stringify(counts));
    }
  }
}

export function isRecordKind(kind: string): kind is RecordKind {
  return (recordKinds as readonly string[]).includes(kind);
}

function parseRanges(text: string): readonly PendingRange[] {
  const ranges = parseJson(text);
  if (!Array.isArray(ranges)) throw new DatabaseDamage('a cursor is not a list');
  return ranges.map((range: unknown) => {
    const [acknowledged, through] = Array.isArray(range) ? (range as unknown[]) : [];
    if (typeof acknowledged !== 'number') throw new DatabaseDamage('a cursor has no place');
    return { acknowledged, through: typeof through === 'number' ? through : undefined };
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new DatabaseDamage('a row of the bookkeeping is not JSON', { cause: error });
  }
}
