import Database from 'better-sqlite3';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { recordId } from '../../domain/record/record.ts';
import { errorMessage } from '../../platform/errors.ts';
import type { SqliteDatabase } from '../file/database-file.ts';
import { databaseFault } from '../file/database-file.ts';
import type { OutboxDatabase } from './outbox-database.ts';
import { isRecordKind } from './outbox-database.ts';
import type { EpochRow, OutboxRow } from './outbox-schema.ts';
import { ROW_COLUMNS } from './outbox-schema.ts';
import type { RecordSpace } from './record-space.ts';
import { ROW_BYTES } from './record-space.ts';
import { isIntact } from '../file/row-checksum.ts';

/** What the records of a quarantined file are missed from; kept in the new file's meta until the salvage is done. */
export type MissingRange = { readonly epoch: string; readonly from: number; readonly to: number };

type SalvagedRow = OutboxRow & { readonly key: string | null };

/** Rows of one step. */
const STEP_ROWS_MAX = 500;
/** Sequences skipped where not even one row can be read: about a page of them. */
const SKIPPED_SEQUENCES = 16;
/** Unreadable places in a row after which the rest is given up. */
const FAILURES_MAX = 5000;
const DONE = 'salvaged';

/** Quarantined files nobody has salvaged yet, oldest first. */
export function unsalvaged(path: string): readonly string[] {
  const folder = `${path}.quarantine`;
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .toSorted()
    .map((name) => join(folder, name))
    .filter((place) => existsSync(join(place, basename(path))) && !existsSync(join(place, DONE)))
    .map((place) => join(place, basename(path)));
}

/**
 * Brings what can be read of a quarantined outbox into the new one, a step at a time.
 *
 * Only rows whose checksum holds come over; they keep their id, so that a receiver that has one drops it. A row that
 * came over already, in a salvage that was cut short, is left alone. What is still missing at the end is a loss.
 */
export class Salvage {
  readonly #file: string;
  readonly #agentId: string;
  readonly #database: OutboxDatabase;
  readonly #space: RecordSpace;
  readonly #missing: MissingRange | undefined;
  #source: SqliteDatabase | undefined;
  #epochs: readonly EpochRow[] = [];
  #after: number;
  #rows = STEP_ROWS_MAX;
  #failures = 0;
  #salvaged = 0;
  #found = 0;
  #trouble: string | undefined;

  constructor(options: {
    readonly file: string;
    readonly agentId: string;
    readonly database: OutboxDatabase;
    readonly space: RecordSpace;
    readonly missing: MissingRange | undefined;
  }) {
    this.#file = options.file;
    this.#agentId = options.agentId;
    this.#database = options.database;
    this.#space = options.space;
    this.#missing = options.missing;
    this.#after = (options.missing?.from ?? 1) - 1;
  }

  get salvaged(): number {
    return this.#salvaged;
  }

  /** Set where the file could not be marked as done. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** @returns False when it is done. */
  step(nowMs: EpochMs): boolean {
    const rows = this.#readRows();
    if (rows !== undefined && rows.length > 0 && this.#store(rows, nowMs)) return true;
    // An unreadable place is stepped over; an empty answer is the end.
    if (rows === undefined && this.#failures <= FAILURES_MAX) return true;
    this.#finish(nowMs);
    return false;
  }

  close(): void {
    this.#source?.close();
    this.#source = undefined;
  }

  /** @returns Undefined where the place could not be read; empty at the end. */
  #readRows(): readonly SalvagedRow[] | undefined {
    try {
      this.#source ??= this.#open();
      const rows = this.#source
        .prepare(`SELECT ${ROW_COLUMNS}, key FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?`)
        .all(this.#after, this.#rows) as SalvagedRow[];
      this.#rows = Math.min(this.#rows * 2, STEP_ROWS_MAX);
      this.#failures = 0;
      this.#after = rows.at(-1)?.sequence ?? this.#after;
      return rows;
    } catch (error) {
      if (databaseFault(error) === 'other') throw error;
      if (this.#source === undefined || isHopeless(error)) return [];
      this.#failures += 1;
      if (this.#rows > 1) this.#rows = Math.ceil(this.#rows / 8);
      else this.#after += SKIPPED_SEQUENCES;
      // Past everything that was ever given out there is nothing to look for.
      return this.#missing !== undefined && this.#after > this.#missing.to ? [] : undefined;
    }
  }

  #open(): SqliteDatabase {
    const source = new Database(this.#file, { readonly: true });
    try {
      source.pragma('trusted_schema = OFF');
      this.#epochs = source
        .prepare('SELECT first_sequence, epoch FROM epoch ORDER BY first_sequence')
        .all() as EpochRow[];
    } catch (error) {
      if (databaseFault(error) === 'other') {
        source.close();
        throw error;
      }
    }
    return source;
  }

  #store(rows: readonly SalvagedRow[], nowMs: EpochMs): boolean {
    const sound = rows.flatMap((row) => this.#verified(row) ?? []);
    const bytes = sound.reduce((total, { body }) => total + Buffer.byteLength(body) + ROW_BYTES, 0);
    if (!this.#space.makeRoom(bytes, 'sample', nowMs)) return false;
    const { statements } = this.#database;
    this.#database.commit(() => {
      for (const { row, kind, id } of sound) {
        if (this.#missing !== undefined && row.sequence >= this.#missing.from && row.original_id === null)
          this.#found += 1;
        if (statements.byOriginalId.get(id) !== undefined) continue;
        if (row.key !== null && statements.byKey.get(row.key) !== undefined) continue;
        const { watch, timestamp: timestampMs, body, key } = row;
        this.#database.insert({ kind, watch, timestampMs, body, key, originalId: id });
        this.#salvaged += 1;
      }
    });
    return true;
  }

  #verified(row: SalvagedRow) {
    const { kind } = row;
    if (!isRecordKind(kind)) return undefined;
    const known = this.#epochs.findLast(({ first_sequence }) => first_sequence <= row.sequence)?.epoch;
    const epoch = [known, this.#missing?.epoch].find(
      (candidate) => candidate !== undefined && isIntact(candidate, { ...row, kind }),
    );
    if (epoch === undefined) return undefined;
    return { row, kind, body: row.body, id: row.original_id ?? recordId(this.#agentId, epoch, row.sequence) };
  }

  #finish(nowMs: EpochMs): void {
    this.close();
    this.#database.commit(() => {
      this.#database.setMeta('missing', undefined);
      if (this.#missing === undefined) return;
      const { epoch, from, to } = this.#missing;
      const count = to - from + 1 - this.#found;
      if (count > 0)
        this.#database.addLoss({ kind: 'unknown', reason: 'database-damaged', from, to, count }, nowMs, epoch);
    });
    try {
      writeFileSync(join(dirname(this.#file), DONE), `${this.#salvaged} records\n`);
    } catch (error) {
      // The next start salvages again, and finds everything there already.
      this.#trouble = errorMessage(error);
    }
  }
}

/** No place in the file will be better than this one. */
function isHopeless(error: unknown): boolean {
  return error instanceof Database.SqliteError && /^SQLITE_(NOTADB|CANTOPEN|ERROR|SCHEMA)/.test(error.code);
}
