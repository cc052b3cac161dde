import { ColumnLists, columnsJson, type NameList, type UsedLists } from './column-lists.ts';
import { JsonWriter } from './json-writer.ts';

/** A record by its id, and by its position in the outbox. */
export type RecordRef = { readonly id: string; readonly sequence: number };

/** Content of a `RecordBatch`, as it crosses a thread boundary: the buffers are moved. */
export type RecordBatchData = {
  /** JSON array of the records, UTF-8, at the start of its buffer. */
  readonly json: Uint8Array<ArrayBuffer>;
  /** End of each record in `json`. */
  readonly ends: Uint32Array<ArrayBuffer>;
  readonly sequences: Float64Array<ArrayBuffer>;
  readonly firstId: string;
  readonly lastId: string;
  /** Lists of names that the records refer to by position. */
  readonly columns: UsedLists;
};

export type BatchLimits = {
  readonly recordsMax: number;
  /** Bytes of the records and their lists of names. A larger record is a batch of its own. */
  readonly bytesMax: number;
};

const OPEN = '[';
const COMMA = ',';
const CLOSE = ']';
const FIRST_BUFFER_BYTES = 65_536;

/**
 * Records of one message, in the order of their sequences: at least one. Their JSON is written once, when they are read, and
 * must not be used after they are acknowledged: its memory is then used again.
 */
export class RecordBatch {
  readonly #data: RecordBatchData;

  constructor(data: RecordBatchData) {
    this.#data = data;
  }

  /** JSON array of the records, UTF-8. */
  get json(): Uint8Array<ArrayBuffer> {
    return this.#data.json;
  }

  /** JSON array of the lists of names that the records refer to by position. */
  get columns(): string {
    return columnsJson(this.#data.columns);
  }

  get bytes(): number {
    return this.#data.json.length + this.#columnsBytes;
  }

  get length(): number {
    return this.#data.ends.length;
  }

  get sequences(): Float64Array {
    return this.#data.sequences;
  }

  get first(): RecordRef {
    return { id: this.#data.firstId, sequence: this.#data.sequences[0] ?? 0 };
  }

  get last(): RecordRef {
    return { id: this.#data.lastId, sequence: this.#data.sequences.at(-1) ?? 0 };
  }

  /** Divides the batch into two halves. It must have two records or more. */
  halves(): readonly [RecordBatch, RecordBatch] {
    const middle = Math.ceil(this.length / 2);
    return [this.#part(0, middle), this.#part(middle, this.length)];
  }

  /** Divides the batch into batches of at most `bytesMax`. A larger record is a batch of its own. */
  within(bytesMax: number): readonly RecordBatch[] {
    if (this.bytes <= bytesMax) return [this];
    const columnsBytes = this.#columnsBytes;
    const parts: RecordBatch[] = [];
    let from = 0;
    for (let to = 1; to <= this.length; to += 1) {
      if (to < this.length && this.#end(to + 1) - this.#start(from) + 2 + columnsBytes <= bytesMax) continue;
      parts.push(this.#part(from, to));
      from = to;
    }
    return parts;
  }

  get #columnsBytes(): number {
    return this.#data.columns.length === 0 ? 0 : Buffer.byteLength(this.columns);
  }

  #start(record: number): number {
    return record === 0 ? 1 : this.#end(record) + 1;
  }

  /** @param count Number of records before the end. */
  #end(count: number): number {
    return this.#data.ends[count - 1] ?? 1;
  }

  #part(from: number, to: number): RecordBatch {
    const writer = new RecordBatchWriter({ recordsMax: to - from, bytesMax: Infinity });
    const used = new Set<number | undefined>();
    for (let record = from; record < to; record += 1) {
      const json = this.#data.json.subarray(this.#start(record), this.#end(record + 1));
      const { id, columns } = JSON.parse(new TextDecoder().decode(json)) as {
        readonly id: string;
        readonly columns?: number;
      };
      used.add(columns);
      writer.add({ id, sequence: this.#data.sequences[record] ?? 0 }, (target) => {
        target.bytes(json);
        return true;
      });
    }
    const [part] = writer.end();
    if (part === undefined) throw new RangeError('A part of a batch has at least one record');
    return new RecordBatch({ ...part, columns: this.#data.columns.map((list, at) => (used.has(at) ? list : null)) });
  }
}

/** Writes records into batches, in order. */
export class RecordBatchWriter {
  readonly #limits: BatchLimits;
  readonly #spare: Uint8Array<ArrayBuffer>[];
  readonly #json = new JsonWriter(0);
  readonly #batches: RecordBatchData[] = [];
  #first: RecordRef | undefined;
  #last: RecordRef | undefined;
  #sequences: number[] = [];
  #ends: number[] = [];
  readonly #lists = new ColumnLists();

  /**
   * @param spare Buffers of acknowledged batches, which the writer takes before it allocates: to collect a buffer of each
   *   message as garbage costs as much as to send the message.
   */
  constructor(limits: BatchLimits, spare: Uint8Array<ArrayBuffer>[] = []) {
    this.#limits = limits;
    this.#spare = spare;
  }

  /** Number of batches that are complete. */
  get complete(): number {
    return this.#batches.length;
  }

  /**
   * @param record Its id is read only if the record is the first or the last one of a batch.
   * @param write Writes the JSON of the record, which refers to its list by the position; false drops the record.
   * @param list List of names of the record; undefined if it has its names itself.
   * @returns False if the record was dropped.
   */
  add<R extends RecordRef>(
    record: R,
    write: (to: JsonWriter, columns: number | undefined, record: R) => boolean,
    list?: NameList,
  ): boolean {
    const { recordsMax, bytesMax } = this.#limits;
    const columns = list === undefined ? undefined : this.#lists.positionOf(list);
    if (this.#first === undefined) this.#begin();
    const start = this.#json.length;
    if (this.#first !== undefined) this.#json.text(COMMA);
    if (!write(this.#json, columns, record)) {
      this.#json.truncate(start);
      return false;
    }
    if (this.#first !== undefined && this.#json.length + 1 + this.#lists.bytesWith(columns) > bytesMax) {
      const json = this.#json.from(start + 1);
      this.#json.truncate(start);
      this.#close();
      this.#begin();
      this.#json.bytes(json);
    }
    this.#lists.use(columns);
    this.#first ??= record;
    this.#last = record;
    this.#sequences.push(record.sequence);
    this.#ends.push(this.#json.length);
    if (this.#ends.length >= recordsMax) this.#close();
    return true;
  }

  /** Returns the batches, the last one included. */
  end(): readonly RecordBatchData[] {
    if (this.#first !== undefined) this.#close();
    return this.#batches;
  }

  #begin(): void {
    this.#json.writeInto(this.#spare.pop() ?? new Uint8Array(FIRST_BUFFER_BYTES));
    this.#json.text(OPEN);
  }

  #close(): void {
    this.#json.text(CLOSE);
    this.#batches.push({
      json: this.#json.handOver(),
      ends: new Uint32Array(this.#ends),
      sequences: new Float64Array(this.#sequences),
      firstId: this.#first?.id ?? '',
      lastId: this.#last?.id ?? '',
      columns: this.#lists.take(),
    });
    this.#first = undefined;
    this.#last = undefined;
    this.#sequences = [];
    this.#ends = [];
  }
}
