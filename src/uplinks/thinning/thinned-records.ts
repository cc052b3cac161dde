import type { RewindStart, Rewound } from '../../contracts/operation/maintenance.ts';
import type { OutboxStats, ReadRequest, UplinkRecords } from '../../contracts/record-store.ts';
import { recordObjects } from '../../domain/record/record-object.ts';
import { RecordBatch, RecordBatchWriter, type RecordRef } from '../../domain/record/record-batch.ts';
import { invariant } from '../../platform/errors.ts';
import { type LastVerdicts, Segment } from './segment.ts';
import type { ThinConfig } from './thin-config.ts';

/**
 * The outbox for an uplink that sends less. A batch has whole segments, and its acknowledgement moves the uplink behind all stored
 * records of them.
 */
export class ThinnedRecords implements UplinkRecords {
  readonly #records: UplinkRecords;
  readonly #config: ThinConfig;
  #lastVerdicts: LastVerdicts = new Map();
  /** Segment that waits for further records. */
  #open: Segment | undefined;
  /** Last stored record that was read. */
  #readThrough: number | undefined;
  /** Last stored records that were returned, and that are settled. */
  #returnedThrough: number | undefined;
  #settledThrough: number | undefined;

  constructor(records: UplinkRecords, config: ThinConfig) {
    this.#records = records;
    this.#config = config;
  }

  async read(request: ReadRequest): Promise<readonly RecordBatch[]> {
    const expected = request.after ?? this.#settledThrough;
    // The uplink starts again at its position: what waits here is read again.
    if (expected !== this.#returnedThrough) this.#forget(expected);
    for (;;) {
      const after = this.#open === undefined ? request.after : this.#readThrough;
      const read = await this.#records.read({ ...request, values: 'names', after });
      const ended = read.flatMap((batch) => this.#ended(batch));
      if (this.#open?.hasEnded === true) {
        ended.push(this.#open);
        this.#open = undefined;
      }
      if (ended.length > 0) return this.#batches(ended, request);
      if (read.length === 0) return [];
    }
  }

  async acknowledge(uplink: string, batches: readonly RecordBatch[]): Promise<void> {
    await this.#records.acknowledge(uplink, batches);
    this.#settledThrough = batches.at(-1)?.last.sequence ?? this.#settledThrough;
  }

  async setAside(uplink: string, batch: RecordBatch, reason: string): Promise<void> {
    await this.#records.setAside(uplink, batch, reason);
    this.#settledThrough = batch.last.sequence;
  }

  async rewind(uplink: string, from: RewindStart): Promise<Rewound> {
    const rewound = await this.#records.rewind(uplink, from);
    this.#settledThrough = undefined;
    this.#forget(undefined);
    return rewound;
  }

  stats(): Promise<OutboxStats> {
    return this.#records.stats();
  }

  onCommit(listener: (count: number) => void): () => void {
    return this.#records.onCommit(listener);
  }

  #forget(position: number | undefined): void {
    this.#open = undefined;
    this.#readThrough = undefined;
    this.#returnedThrough = position;
    this.#lastVerdicts = new Map();
  }

  /** Adds a batch to the open segment. @returns Segments that have ended. */
  #ended(batch: RecordBatch): Segment[] {
    const ended: Segment[] = [];
    for (const [index, record] of recordObjects(batch).entries()) {
      if (this.#open?.endsBefore(record) === true) {
        ended.push(this.#open);
        this.#open = undefined;
      }
      this.#open ??= new Segment(record, this.#config, this.#lastVerdicts);
      this.#open.add(record, { id: record.id, sequence: batch.sequences[index] ?? 0 });
    }
    this.#readThrough = batch.last.sequence;
    return ended;
  }

  /** Joins segments to batches within the limits. A segment is never divided. */
  #batches(segments: readonly Segment[], { limits }: ReadRequest): readonly RecordBatch[] {
    const batches: RecordBatch[] = [];
    let refs: RecordRef[] = [];
    let texts: string[] = [];
    let characters = 0;
    const close = () => {
      batches.push(thinnedBatch(refs, texts));
      [refs, texts, characters] = [[], [], 0];
    };
    for (const segment of segments) {
      const sent = segment.sent();
      const more = sent.reduce((sum, text) => sum + text.length, 0);
      const isFull = texts.length + sent.length > limits.recordsMax || characters + more > limits.bytesMax;
      if (isFull && texts.length > 0) close();
      refs.push(...segment.refs);
      texts.push(...sent);
      characters += more;
    }
    close();
    this.#returnedThrough = batches.at(-1)?.last.sequence;
    return batches;
  }
}

function thinnedBatch(refs: readonly RecordRef[], texts: readonly string[]): RecordBatch {
  const [first, last] = [refs[0], refs.at(-1)];
  invariant(first !== undefined && last !== undefined, 'A segment has records');
  const writer = new RecordBatchWriter({ recordsMax: Infinity, bytesMax: Infinity });
  for (const text of texts)
    writer.add(last, (to) => {
      to.text(text);
      return true;
    });
  const [data] = writer.end();
  invariant(data !== undefined, 'A segment has something to send');
  return new RecordBatch({
    ...data,
    sequences: Float64Array.from(refs, ({ sequence }) => sequence),
    firstId: first.id,
    lastId: last.id,
    isThinned: true,
  });
}
