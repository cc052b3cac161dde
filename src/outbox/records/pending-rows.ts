import type { RecordRef } from '../../domain/record/record-batch.ts';
import type { RecordKind } from '../../domain/record/record.ts';
import type { Epochs } from './epochs.ts';
import type { OutboxRow, OutboxStatements, PendingHead, PlainRows } from './outbox-schema.ts';

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

/** Verdicts with columns, one for each sequence of a range. */
export type PlainRange = {
  /** Sequence of the first one. */
  readonly first: number;
  readonly timestamps: readonly number[];
  readonly checksums: readonly number[];
  readonly names: readonly number[];
  /** End of each one in `columns`. */
  readonly ends: readonly number[];
  readonly columns: DataView;
};

/** A verdict of a range. It has no fields of its own, because to fill them costs as much as to read the row. */
export class PlainRow implements RecordRef {
  readonly range: PlainRange;
  readonly index: number;
  readonly #epochs: Epochs;

  constructor(range: PlainRange, index: number, epochs: Epochs) {
    this.range = range;
    this.index = index;
    this.#epochs = epochs;
  }

  get sequence(): number {
    return this.range.first + this.index;
  }

  get names(): number {
    return this.range.names[this.index] ?? 0;
  }

  get id(): string {
    return this.#epochs.idOf({ sequence: this.sequence, original_id: null });
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
  next(after: number, through: number): { readonly rows: readonly (ReadRow | PlainRow)[]; readonly through: number } {
    const end = Math.min(through, after + ROWS_MAX);
    const plain = this.#isPlain ? this.#plain(after, end) : undefined;
    if (plain !== undefined) return { rows: plain, through: end };
    this.#isPlain = false;
    const rows = this.#any(after, through);
    return { rows, through: rows.length < ROWS_MAX ? through : (rows.at(-1)?.sequence ?? through) };
  }

  /** @returns Undefined if a row is not a plain verdict, or a sequence is missing. */
  #plain(after: number, through: number): readonly PlainRow[] | undefined {
    const { rows, plain, first, last, columns, ...json } = this.#statements.plainRows.get(after, through) as PlainRows;
    if (first === null || last === null || columns === null) return [];
    if (plain !== rows || last - first + 1 !== rows) return undefined;
    let end = 0;
    const range = {
      first,
      timestamps: numbers(json.timestamps),
      checksums: numbers(json.checksums),
      names: numbers(json.names),
      ends: numbers(json.lengths).map((length) => (end += length)),
      columns: new DataView(columns.buffer, columns.byteOffset, columns.length),
    };
    return Array.from({ length: rows }, (_, index) => new PlainRow(range, index, this.#epochs));
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

function numbers(json: string): readonly number[] {
  return JSON.parse(json) as readonly number[];
}
