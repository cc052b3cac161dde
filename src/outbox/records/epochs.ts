import type { EpochMs } from '../../domain/epoch-ms.ts';
import { recordId } from '../../domain/record/record.ts';
import { invariant } from '../../platform/errors.ts';
import type { SqliteDatabase } from '../file/database-file.ts';
import { type EpochRow, EPOCHS, type OutboxStatements } from './outbox-schema.ts';

/** Epochs that are kept although none of their records is left. Every read loads all, and a start may begin one. */
const KEPT = 100;

/** The epochs of an outbox file, oldest first, and the ids that follow from them. */
export class Epochs {
  readonly #sqlite: SqliteDatabase;
  readonly #statements: OutboxStatements;
  readonly #agentId: string;
  #rows: EpochRow[] = [];

  constructor(sqlite: SqliteDatabase, statements: OutboxStatements, agentId: string) {
    this.#sqlite = sqlite;
    this.#statements = statements;
    this.#agentId = agentId;
  }

  load(): void {
    this.#rows = this.#sqlite.prepare(EPOCHS).all() as EpochRow[];
  }

  get names(): readonly string[] {
    return this.#rows.map(({ epoch }) => epoch);
  }

  /** Undefined in a new file until its first epoch begins. */
  get current(): string | undefined {
    return this.#rows.at(-1)?.epoch;
  }

  /** The current epoch of an open outbox: one begins when the file is opened. */
  get present(): string {
    const { current } = this;
    invariant(current !== undefined, 'an epoch begins when the outbox is opened');
    return current;
  }

  /** Within `commit`. Sequences from `sequence` on belong to `epoch`. Deletes epochs that no record needs. */
  begin(epoch: string, sequence: number, nowMs: EpochMs): void {
    this.#statements.addEpoch.run(sequence, epoch, nowMs);
    const before = this.#rows.filter(({ first_sequence }) => first_sequence < sequence);
    const oldest = Number(this.#statements.oldestSequence.get() ?? sequence);
    const needed = before.findLastIndex(({ first_sequence }) => first_sequence <= oldest);
    const kept = before.slice(Math.max(0, Math.min(needed, before.length + 1 - KEPT)));
    if (kept.length < before.length) this.#statements.removeEpochsBefore.run(kept[0]?.first_sequence ?? 0);
    this.#rows = [...kept, { first_sequence: sequence, epoch }];
  }

  /** Undefined for a sequence before the first epoch, which only a damaged file has. */
  at(sequence: number): string | undefined {
    const current = this.#rows.at(-1);
    if (current === undefined || current.first_sequence <= sequence) return current?.epoch;
    return this.#rows.findLast(({ first_sequence }) => first_sequence <= sequence)?.epoch;
  }

  idOf(row: { readonly sequence: number; readonly original_id: string | null }): string {
    return row.original_id ?? recordId(this.#agentId, this.at(row.sequence) ?? '', row.sequence);
  }
}
