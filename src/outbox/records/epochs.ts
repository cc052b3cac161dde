import type { EpochMs } from '../../domain/epoch-ms.ts';
import { recordId } from '../../domain/record/record.ts';
import type { SqliteDatabase } from '../file/database-file.ts';
import { type EpochRow, EPOCHS, type OutboxStatements } from './outbox-schema.ts';

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

  /** Within `commit`. Sequences from `sequence` on belong to `epoch`. */
  begin(epoch: string, sequence: number, nowMs: EpochMs): void {
    this.#statements.addEpoch.run(sequence, epoch, nowMs);
    this.#rows = [
      ...this.#rows.filter(({ first_sequence }) => first_sequence < sequence),
      { first_sequence: sequence, epoch },
    ];
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
