import Database from 'better-sqlite3';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { RecordColumns } from '../../domain/record/verdict-columns.ts';
import { recordId } from '../../domain/record/record.ts';
import { errorMessage } from '../../platform/errors.ts';
import { databaseFault, type SqliteDatabase } from '../file/database-file.ts';
import { type MissingRange, MISSING, type QuarantinedRange, quarantinedRanges } from './loss-ledger.ts';
import type { OutboxDatabase } from './outbox-database.ts';
import { type EpochRow, EPOCHS, NAMES_TABLES, type OutboxRow } from './outbox-schema.ts';
import { isRecordKind } from './record-rows.ts';
import { type RecordSpace, ROW_BYTES } from './record-space.ts';
import { isIntact, isIntactText } from '../file/row-checksum.ts';

type SalvagedRow = Omit<OutboxRow, 'names'> & { readonly key: string | null; readonly names?: number | null };

/** Rows read in one step. */
const STEP_ROWS_MAX = 500;
/** Sequences skipped if not even one row can be read: about one page. */
const SKIPPED_SEQUENCES = 16;
/** Unreadable positions in a row after which the salvage ends. */
const FAILURES_MAX = 5000;
const DONE = 'salvaged';
/** File with the range of a quarantined file, for the case that the database that has it is damaged too. */
const RANGE = 'missing.json';

/** Returns the quarantined files that are not salvaged yet, oldest first. */
export function unsalvaged(path: string): readonly string[] {
  const quarantine = `${path}.quarantine`;
  if (!existsSync(quarantine)) return [];
  return readdirSync(quarantine)
    .toSorted()
    .map((name) => join(quarantine, name))
    .filter((folder) => existsSync(join(folder, basename(path))) && !isSalvaged(folder))
    .map((folder) => join(folder, basename(path)));
}

/** True if the readable rows of the quarantined file in this folder are in the outbox. */
export function isSalvaged(folder: string): boolean {
  return existsSync(join(folder, DONE));
}

/** Writes the range of a quarantined file next to it. @throws {Error} of the file system. */
export function writeRange(file: string, range: MissingRange): void {
  writeFileSync(join(dirname(file), RANGE), JSON.stringify(range), { flush: true });
}

/** Returns the ranges that were written next to quarantined files which are not salvaged yet. */
export function writtenRanges(path: string): readonly QuarantinedRange[] {
  return unsalvaged(path).flatMap((file) => {
    const folder = dirname(file);
    try {
      const range = JSON.parse(readFileSync(join(folder, RANGE), 'utf8')) as MissingRange;
      return [{ ...range, folder: basename(folder) }];
    } catch {
      // An earlier version wrote none, or it is damaged too.
      return [];
    }
  });
}

/**
 * Copies the readable rows of a quarantined outbox into the new one, step by step.
 *
 * Only rows with a matching checksum are copied. They keep their ids, so that a receiver drops the ones that it has. A
 * row that an interrupted salvage copied before is skipped. Sequences still missing at the end are a loss.
 */
export class Salvage {
  readonly #file: string;
  readonly #agentId: string;
  readonly #database: OutboxDatabase;
  readonly #space: RecordSpace;
  readonly #missing: QuarantinedRange | undefined;
  #source: SqliteDatabase | undefined;
  #epochs: readonly EpochRow[] = [];
  /** Lists of names in the file; undefined for one that is lost. */
  readonly #names = new Map<number, string | undefined>();
  #isTaken = false;
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
  }) {
    this.#file = options.file;
    this.#agentId = options.agentId;
    this.#database = options.database;
    this.#space = options.space;
    const folder = basename(dirname(options.file));
    this.#missing = options.database.losses.missing.find(
      (range) => range.folder === folder || range.folder === undefined,
    );
    this.#after = (this.#missing?.from ?? 1) - 1;
  }

  get salvaged(): number {
    return this.#salvaged;
  }

  /** Set if the file could not be marked as done. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** @returns False when it is done. */
  step(nowMs: EpochMs): boolean {
    if (!this.#isTaken) this.#takeMissing();
    const rows = this.#readRows();
    if (rows !== undefined && rows.length > 0 && this.#store(rows)) return true;
    // An unreadable position is skipped; an empty answer is the end.
    if (rows === undefined && this.#failures <= FAILURES_MAX) return true;
    this.#finish(nowMs);
    return false;
  }

  close(): void {
    this.#source?.close();
    this.#source = undefined;
  }

  /** @returns Undefined if this position could not be read; empty at the end. */
  #readRows(): readonly SalvagedRow[] | undefined {
    try {
      this.#source ??= this.#open();
      const rows = this.#source
        // A file of format 1 has no `names`.
        .prepare('SELECT * FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?')
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
      // No sequence was given out after `missing.to`.
      return this.#missing !== undefined && this.#after > this.#missing.to ? [] : undefined;
    }
  }

  #open(): SqliteDatabase {
    const source = new Database(this.#file, { readonly: true });
    try {
      source.pragma('trusted_schema = OFF');
      this.#epochs = source.prepare(EPOCHS).all() as EpochRow[];
    } catch (error) {
      if (databaseFault(error) === 'other') {
        source.close();
        throw error;
      }
    }
    return source;
  }

  /** Takes the ranges of older files, which were not salvaged when this one was quarantined, and that an earlier version stored in it only. */
  #takeMissing(): void {
    let taken: readonly QuarantinedRange[];
    try {
      this.#source ??= this.#open();
      taken = quarantinedRanges(this.#source.prepare('SELECT value FROM meta WHERE name = ?').pluck().get(MISSING));
    } catch {
      // Damaged too.
      taken = [];
    }
    const { losses } = this.#database;
    const known = new Set(losses.missing.map(({ folder }) => folder));
    const older = taken.filter(({ folder }) => !known.has(folder));
    if (older.length > 0) this.#database.commit(() => losses.setMissing([...losses.missing, ...older]));
    this.#isTaken = true;
  }

  #store(rows: readonly SalvagedRow[]): boolean {
    const sound = rows.flatMap((row) => this.#verified(row) ?? []);
    const bytes = sound.reduce((total, { row }) => total + Buffer.byteLength(row.body) + ROW_BYTES, 0);
    if (!this.#space.makeRoom(bytes, 'sample')) return false;
    const { statements } = this.#database;
    this.#database.commit(() => {
      for (const { row, kind, body, id } of sound) {
        if (this.#missing !== undefined && row.sequence >= this.#missing.from && row.original_id === null)
          this.#found += 1;
        if (statements.byOriginalId.get(id) !== undefined) continue;
        // The key of a loss record marks the one that may still grow.
        const key = kind === 'loss' ? null : row.key;
        if (key !== null && statements.byKey.get(key) !== undefined) continue;
        const { watch, timestamp: timestampMs } = row;
        this.#database.insert({ kind, watch, timestampMs, body, key, originalId: id });
        this.#salvaged += 1;
      }
    });
    return true;
  }

  #verified(row: SalvagedRow) {
    const { kind, names = null } = row;
    if (!isRecordKind(kind)) return undefined;
    const listed = this.#epochs.findLast(({ first_sequence }) => first_sequence <= row.sequence)?.epoch;
    const epoch = [listed, this.#missing?.epoch].find(
      (candidate) => candidate !== undefined && isIntact(candidate, { ...row, kind, names }),
    );
    const body = this.#bodyOf(row);
    if (epoch === undefined || body === undefined) return undefined;
    return { row, kind, body, id: row.original_id ?? recordId(this.#agentId, epoch, row.sequence) };
  }

  /** @returns Undefined if the names of the columns are lost. */
  #bodyOf({ body, names }: SalvagedRow): string | RecordColumns | undefined {
    if (typeof body === 'string') return body;
    const text = this.#readNames(names ?? -1);
    return text === undefined ? undefined : { names: text, bytes: body };
  }

  #readNames(hash: number): string | undefined {
    if (this.#names.has(hash)) return this.#names.get(hash);
    let text: string | undefined;
    for (const table of NAMES_TABLES)
      text ??= this.#source === undefined ? undefined : namesIn(this.#source, table, hash);
    this.#names.set(hash, text);
    return text;
  }

  #finish(nowMs: EpochMs): void {
    this.close();
    this.#database.commit(() => {
      const { missing, losses } = { missing: this.#missing, losses: this.#database.losses };
      if (missing === undefined) return;
      losses.setMissing(losses.missing.filter(({ folder }) => folder !== missing.folder));
      const { epoch, from, to } = missing;
      const count = to - from + 1 - this.#found;
      if (count > 0) losses.missingRows({ epoch, from, to }, count, 'database-damaged', nowMs);
    });
    try {
      writeFileSync(join(dirname(this.#file), DONE), `${this.#salvaged} records\n`);
    } catch (error) {
      // The next start salvages again and finds every row copied already.
      this.#trouble = errorMessage(error);
    }
  }
}

/** Returns a list of names; undefined if it is damaged or missing. */
function namesIn(source: SqliteDatabase, table: string, hash: number): string | undefined {
  try {
    const text = source.prepare(`SELECT text FROM ${table} WHERE hash = ?`).pluck().get(hash);
    return isIntactText(text, hash) ? text : undefined;
  } catch (error) {
    if (databaseFault(error) === 'other') throw error;
    return undefined;
  }
}

/** True if no other position in the file can be read either. */
function isHopeless(error: unknown): boolean {
  return error instanceof Database.SqliteError && /^SQLITE_(NOTADB|CANTOPEN|ERROR|SCHEMA)/.test(error.code);
}
