import type { RewindStart, Rewound } from '../contracts/operation/maintenance.ts';
import type { OutboxStats, ReadRequest, UplinkRecords } from '../contracts/record-store.ts';
import { RecordBatch } from '../domain/record/record-batch.ts';
import type { Deps } from '../platform/deps.ts';
import { OperatingError } from '../platform/errors.ts';
import type { SequenceSpans, StorageProtocol, StorageReport, UplinkInterest } from './file/storage-protocol.ts';
import type { RecordReaderProtocol, RecordReaderReport } from './records/record-reader.ts';
import type { WorkerLink } from './worker-link.ts';

export type OutboxReadersOptions = {
  readonly storage: Pick<WorkerLink<StorageProtocol, StorageReport>, 'call'>;
  readonly reader: Pick<WorkerLink<RecordReaderProtocol, RecordReaderReport>, 'call'>;
  /** Uplinks at the start. */
  readonly uplinks: readonly UplinkInterest[];
  readonly deps: Deps;
};

/** The uplinks of the outbox, on the agent's main thread: they read and acknowledge, and may change while the agent runs. */
export class OutboxReaders implements UplinkRecords {
  readonly #options: OutboxReadersOptions;
  readonly #listeners = new Set<(count: number) => void>();
  #uplinks: readonly UplinkInterest[];
  /** True until the storage worker has `#uplinks`. */
  #isChanged = false;
  /** Buffers of acknowledged batches. The next read writes into them. */
  #spare: Uint8Array<ArrayBuffer>[] = [];
  /** Most records that the next read of an uplink may need, by those of the last one. */
  readonly #recordsMax = new Map<string, number>();
  /** Claimed records of each uplink that its last read has left. */
  readonly #left = new Map<string, SequenceSpans & { readonly after: number }>();

  constructor(options: OutboxReadersOptions) {
    this.#options = options;
    this.#uplinks = options.uplinks;
  }

  /** Uplinks, for the start options of a storage worker. */
  get uplinks(): readonly UplinkInterest[] {
    return this.#uplinks;
  }

  /**
   * Changes the uplinks. The position of each stays in the file, also that of a removed one: see docs/uplinks.md. An uplink
   * whose kinds change must not read meanwhile. If the disk fails, the change is repeated until it is stored.
   */
  async change(uplinks: readonly UplinkInterest[]): Promise<void> {
    this.#uplinks = uplinks;
    this.#isChanged = true;
    await this.sendChange();
  }

  /** Sends a change that the storage worker does not have yet. */
  async sendChange(): Promise<void> {
    if (!this.#isChanged) return;
    const uplinks = this.#uplinks;
    try {
      await this.#options.storage.call('uplinks', { uplinks, nowMs: this.#options.deps.clock.nowMs() });
      if (this.#uplinks === uplinks) this.#isChanged = false;
    } catch (error) {
      // The next report of the worker sends it again. A new worker starts with it.
      if (!(error instanceof OperatingError)) throw error;
    }
  }

  async read(request: ReadRequest): Promise<readonly RecordBatch[]> {
    const { uplink, kinds, limits, batchesMax, values } = request;
    const { storage, reader } = this.#options;
    const claim = await this.#claim(request);
    if (claim.spans.length === 0) return [];
    const spare = this.#spare;
    this.#spare = [];
    const wanted = { ...claim, uplink, kinds, limits, batchesMax, values, spare };
    const moved = spare.map(({ buffer }) => buffer);
    const { batches, damaged } = await reader.call('read', wanted, moved);
    const after = batches.at(-1)?.sequences.at(-1);
    if (after !== undefined) {
      const spans = claim.spans.filter(({ through }) => through > after);
      this.#left.set(uplink, { file: claim.file, after, spans });
      const found = batches.reduce((sum, { ends }) => sum + ends.length, 0);
      this.#recordsMax.set(uplink, Math.max(limits.recordsMax, 2 * found));
    }
    if (damaged.length > 0) await storage.call('damaged', { sequences: damaged });
    if (batches.length === 0 && damaged.length > 0) return await this.read(request);
    return batches.map((batch) => new RecordBatch(batch));
  }

  /** Claims the next records, unless the last claim of the uplink has some that follow those of its last read. */
  async #claim(request: ReadRequest): Promise<SequenceSpans> {
    const { uplink, limits, batchesMax, after } = request;
    const left = this.#left.get(uplink);
    this.#left.delete(uplink);
    if (left !== undefined && after === left.after && left.spans.length > 0) {
      const { file, spans } = left;
      return { file, spans: spans.map((span) => ({ ...span, after: Math.max(span.after, after) })) };
    }
    const readMax = limits.recordsMax * batchesMax;
    // Messages are mostly full by their bytes. What a read from the cursor leaves is claimed again.
    const recordsMax = after === undefined ? Math.min(readMax, this.#recordsMax.get(uplink) ?? Infinity) : readMax;
    return await this.#options.storage.call('claim', {
      ...request,
      recordsMax,
      nowMs: this.#options.deps.clock.nowMs(),
    });
  }

  async acknowledge(uplink: string, batches: readonly RecordBatch[]): Promise<void> {
    const [first, last] = [batches[0]?.first, batches.at(-1)?.last];
    if (first === undefined || last === undefined) return;
    const { storage, deps } = this.#options;
    await storage.call('acknowledge', { uplink, first, last, nowMs: deps.clock.nowMs() });
    for (const { json } of batches) this.#spare.push(new Uint8Array(json.buffer));
  }

  async setAside(uplink: string, batch: RecordBatch, reason: string): Promise<void> {
    const { first, last, sequences } = batch;
    const { storage, deps } = this.#options;
    const nowMs = deps.clock.nowMs();
    await storage.call('setAside', { uplink, first, last, sequences: [...sequences], reason, nowMs });
  }

  /** Moves an uplink that has ended back to an earlier record. @throws {OperatingError} 'rewind-refused' (reject). */
  rewind(uplink: string, from: RewindStart): Promise<Rewound> {
    const { storage, deps } = this.#options;
    return storage.call('rewind', { uplink, from, nowMs: deps.clock.nowMs() });
  }

  stats(): Promise<OutboxStats> {
    return this.#options.storage.call('stats', undefined);
  }

  onCommit(listener: (count: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Wakes up the uplinks. @param count Number of stored records. */
  committed(count: number): void {
    for (const listener of this.#listeners) listener(count);
  }
}
