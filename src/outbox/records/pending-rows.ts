import type { RecordRef } from '../../domain/record/record-batch.ts';
import type { RecordKind } from '../../domain/record/record.ts';
import type { Epochs } from './epochs.ts';
import { NO_WATCH, type OutboxRow, type OutboxStatements, type PendingHead, type PlainRows } from './outbox-schema.ts';

/** Rows of one SELECT, so that a read of a few records does not load many. */
const ROWS_MAX = 200;

/** A row with its id, which costs a text and is needed only at the ends of a message. */
export class ReadRow implements OutboxRow, RecordRef {
  readonly sequence: number;
  readonly kind: string;
  readonly watch: string;
  readonly timestamp: number;
  readonly checksum: number;
  readonly names: number | null;
  readonly original_id: string | null;
  readonly body: string | Uint8Array;
  readonly #epochs: Epochs;

  constructor(row: OutboxRow, epochs: Epochs) {
    this.sequence = row.sequence;
    this.kind = row.kind;
    this.watch = row.watch;
    this.timestamp = row.timestamp;
    this.checksum = row.checksum;
    this.names = row.names;
    this.original_id = row.original_id;
    this.body = row.body;
    this.#epochs = epochs;
  }

  get id(): string {
    return this.#epochs.idOf(this);
  }
}

/** Reads the rows that wait for an uplink, in the order of their sequences. */
export class PendingRows {
  readonly #statements: OutboxStatements;
  readonly #epochs: Epochs;
  readonly #kinds: string;
  readonly #uplink: string;
  /** False once a range had other rows than plain verdicts: such ranges follow each other. */
  #isPlain: boolean;

  constructor(
    { statements, epochs }: { readonly statements: OutboxStatements; readonly epochs: Epochs },
    kinds: readonly RecordKind[],
    uplink: string,
  ) {
    this.#statements = statements;
    this.#epochs = epochs;
    this.#kinds = JSON.stringify(kinds);
    this.#uplink = uplink;
    this.#isPlain = kinds.includes('verdict');
  }

  /** Returns the next rows of the range (after, through], and the sequence up to which there are no others. */
  next(after: number, through: number): { readonly rows: readonly ReadRow[]; readonly through: number } {
    const end = Math.min(through, after + ROWS_MAX);
    const plain = this.#isPlain ? this.#plain(after, end) : undefined;
    if (plain !== undefined) return { rows: plain, through: end };
    this.#isPlain = false;
    const rows = this.#any(after, through);
    return { rows, through: rows.length < ROWS_MAX ? through : (rows.at(-1)?.sequence ?? through) };
  }

  /** @returns Undefined if a row is not a plain verdict. */
  #plain(after: number, through: number): readonly ReadRow[] | undefined {
    const found = this.#statements.plainRows.get(after, through) as PlainRows;
    if (found.plain !== found.rows) return undefined;
    const [timestamps, checksums, names, lengths] = [found.timestamps, found.checksums, found.names, found.lengths].map(
      (json) => JSON.parse(json) as readonly number[],
    );
    let at = 0;
    return (JSON.parse(found.sequences) as readonly number[]).map((sequence, index) => {
      const start = at;
      at += lengths?.[index] ?? 0;
      const row = {
        sequence,
        kind: 'verdict',
        watch: NO_WATCH,
        timestamp: timestamps?.[index] ?? 0,
        checksum: checksums?.[index] ?? 0,
        names: names?.[index] ?? 0,
        original_id: null,
        body: found.columns?.subarray(start, at) ?? '',
      };
      return new ReadRow(row, this.#epochs);
    });
  }

  /** Reads rows, and the columns of all of them in one buffer. */
  #any(after: number, through: number): readonly ReadRow[] {
    const { pendingHeads, joinedColumns } = this.#statements;
    const heads = pendingHeads.all(after, through, this.#kinds, this.#uplink, ROWS_MAX) as PendingHead[];
    const last = heads.at(-1)?.sequence ?? after;
    const joined = joinedColumns.get(after, last, this.#kinds, this.#uplink) as Buffer | null;
    let at = 0;
    return heads.map(({ body, ...head }) => {
      if (typeof body !== 'number') return new ReadRow({ ...head, body }, this.#epochs);
      const start = at;
      at += body;
      // A number in a row without columns is damage: no checksum fits to it.
      return new ReadRow({ ...head, body: joined?.subarray(start, at) ?? '' }, this.#epochs);
    });
  }
}
