import type { RewindStart, Rewound } from '../contracts/operation/maintenance.ts';
import type { OutboxStats, ReadRequest, UplinkRecords } from '../contracts/record-store.ts';
import { RecordBatch } from '../domain/record/record-batch.ts';
import type { Deps } from '../platform/deps.ts';
import { OperatingError } from '../platform/errors.ts';
import type { StorageProtocol, StorageReport, UplinkInterest } from './file/storage-protocol.ts';
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
  #spare: Uint8Array[] = [];
  /** Most records that the next read of an uplink may need, by those of the last one. */
  readonly #recordsMax = new Map<string, number>();

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
    const { storage, reader, deps } = this.#options;
    // Messages are mostly full by their bytes, and records that are claimed but not read cost as much as the read ones.
    const recordsMax = Math.min(limits.recordsMax * batchesMax, this.#recordsMax.get(uplink) ?? Infinity);
    const claim = await storage.call('claim', { ...request, recordsMax, nowMs: deps.clock.nowMs() });
    if (claim.spans.length === 0) return [];
    const spare = this.#spare;
    this.#spare = [];
    const wanted = { ...claim, uplink, kinds, limits, batchesMax, values, spare };
    const { batches, damaged } = await reader.call('read', wanted);
    const found = batches.reduce((sum, { ends }) => sum + ends.length, 0);
    const growth = found < recordsMax ? 1.25 : 2;
    this.#recordsMax.set(uplink, Math.max(limits.recordsMax, Math.ceil(growth * found)));
    if (damaged.length > 0) await storage.call('damaged', { sequences: damaged });
    if (batches.length === 0 && damaged.length > 0) return await this.read(request);
    return batches.map((batch) => new RecordBatch(batch));
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
