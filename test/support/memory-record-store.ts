import type { RewindStart, Rewound } from '../../src/contracts/operation/maintenance.ts';
import type { HistoryQuery, OutboxStats, ReadRequest, RecordStore } from '../../src/contracts/record-store.ts';
import type { AlarmTransition } from '../../src/domain/alarm/alarm.ts';
import {
  type RecordDraft,
  recordId,
  recordJson,
  type RecordKind,
  type StoredRecord,
} from '../../src/domain/record/record.ts';
import { recordsIn } from './batch-records.ts';
import { draftJson } from './draft-body.ts';
import { RecordBatch, RecordBatchWriter } from '../../src/domain/record/record-batch.ts';
import { OperatingError } from '../../src/platform/errors.ts';

type Cursor = {
  backlog: number;
  live: { from: number; acknowledged: number } | undefined;
  kinds: readonly RecordKind[];
};
type DeadLetter = { readonly uplink: string; readonly record: StoredRecord; readonly reason: string };

/** An outbox in memory, for tests of its readers. Stricter than the real outbox. */
export class MemoryRecordStore implements RecordStore {
  readonly stored: StoredRecord[] = [];
  readonly deadLetters: DeadLetter[] = [];
  readonly reads: ReadRequest[] = [];
  /** While set, every call but `append` fails with 'outbox-unavailable'. */
  unavailable = false;
  /** Number of future acknowledgements that are rejected finally, as out of order. */
  rejections = 0;
  readonly #agentId: string;
  readonly #cursors = new Map<string, Cursor>();
  readonly #listeners: ((count: number) => void)[] = [];

  constructor(agentId = 'edge-01') {
    this.#agentId = agentId;
  }

  append(drafts: readonly RecordDraft[]): Promise<readonly string[]> {
    const ids = drafts.map((draft) => {
      const sequence = this.stored.length + 1;
      const id = recordId(this.#agentId, 'e1', sequence);
      const { kind, timestampMs, watch = '' } = draft;
      this.stored.push({ id, sequence, kind, timestampMs, watch, body: draftJson(draft) });
      return id;
    });
    for (const listener of this.#listeners) listener(ids.length);
    return Promise.resolve(ids);
  }

  /** Verdicts numbered from 0 in their bodies, each with `padding` more characters. */
  appendVerdicts(count: number, padding = 0, kind: RecordKind = 'verdict'): Promise<readonly string[]> {
    return this.append(
      Array.from({ length: count }, (_, number) => ({
        kind,
        timestampMs: 1_767_225_600_000 + number,
        watch: 'pump-1',
        body: { number, padding: 'x'.repeat(padding) },
        alarm: undefined,
      })),
    );
  }

  lost(): void {}

  async read(request: ReadRequest): Promise<readonly RecordBatch[]> {
    this.#fail();
    this.reads.push(request);
    const cursor = this.#cursor(request.uplink);
    cursor.kinds = request.kinds;
    if (request.lane === 'live') cursor.live ??= { from: this.stored.length, acknowledged: this.stored.length };
    const from = request.lane === 'live' ? (cursor.live?.acknowledged ?? 0) : cursor.backlog;
    const through = request.lane === 'live' ? Infinity : (cursor.live?.from ?? Infinity);
    const writer = new RecordBatchWriter(request.limits);
    for (const record of this.stored.slice(Math.max(from, request.after ?? 0))) {
      if (record.sequence > through || writer.complete >= request.batchesMax) break;
      if (!request.kinds.includes(record.kind)) continue;
      writer.add(record, (to) => {
        to.text(recordJson(record));
        return true;
      });
    }
    return writer
      .end()
      .slice(0, request.batchesMax)
      .map((batch) => new RecordBatch(batch));
  }

  async acknowledge(uplink: string, batches: readonly RecordBatch[]): Promise<void> {
    this.#fail();
    if (this.rejections > 0) {
      this.rejections -= 1;
      throw new OperatingError('acknowledge-out-of-order', 'reject', 'An older record waits');
    }
    this.#advance(uplink, batches);
  }

  async setAside(uplink: string, batch: RecordBatch, reason: string): Promise<void> {
    this.#fail();
    this.#advance(uplink, [batch]);
    for (const record of recordsIn([batch])) this.deadLetters.push({ uplink, record, reason });
  }

  async rewind(uplink: string, from: RewindStart): Promise<Rewound> {
    this.#fail();
    const cursor = this.#cursor(uplink);
    const sequence = 'sequence' in from ? from.sequence : 1;
    if (sequence > cursor.backlog) throw new OperatingError('rewind-refused', 'reject', 'The records wait already');
    const waitedBefore = this.waiting(uplink);
    cursor.backlog = sequence - 1;
    cursor.live = undefined;
    return {
      from: sequence,
      fromMs: this.stored[sequence - 1]?.timestampMs ?? 0,
      waiting: this.waiting(uplink),
      waitedBefore,
    };
  }

  history({ watch, kind, fromMs, toMs, limit }: HistoryQuery): Promise<readonly StoredRecord[]> {
    const found = this.stored.filter(
      (record) =>
        record.watch === watch && record.kind === kind && record.timestampMs >= fromMs && record.timestampMs <= toMs,
    );
    return Promise.resolve(found.slice(0, limit));
  }

  alarms(): Promise<readonly AlarmTransition[]> {
    return Promise.resolve([]);
  }

  async stats(): Promise<OutboxStats> {
    this.#fail();
    return {
      epoch: 'e1',
      sequence: this.stored.length,
      records: this.stored.length,
      bytes: 0,
      bytesMax: 1e9,
      oldestMs: this.stored[0]?.timestampMs,
      deadLetters: this.deadLetters.length,
      lost: 0,
      hoursLeft: undefined,
      uplinks: [...this.#cursors.keys()].map((uplink) => {
        const acknowledgedSequence = this.#cursor(uplink).backlog;
        return {
          uplink,
          acknowledgedSequence,
          waiting: this.waiting(uplink),
          oldestWaitingMs: this.stored[acknowledgedSequence]?.timestampMs,
        };
      }),
    };
  }

  onCommit(listener: (count: number) => void): () => void {
    this.#listeners.push(listener);
    return () => void this.#listeners.splice(this.#listeners.indexOf(listener), 1);
  }

  lastTickMs(): number {
    return 0;
  }

  /** Records that the uplink has neither acknowledged nor moved to the dead letters. */
  waiting(uplink: string): number {
    const { backlog, live } = this.#cursor(uplink);
    if (live === undefined) return this.stored.length - backlog;
    return live.from - backlog + this.stored.length - live.acknowledged;
  }

  #cursor(uplink: string): Cursor {
    const cursor = this.#cursors.get(uplink) ?? { backlog: 0, live: undefined, kinds: [] };
    this.#cursors.set(uplink, cursor);
    return cursor;
  }

  #advance(uplink: string, batches: readonly RecordBatch[]): void {
    const cursor = this.#cursor(uplink);
    for (const { sequence, id } of recordsIn(batches)) {
      const lane = cursor.live !== undefined && sequence > cursor.live.from ? cursor.live : undefined;
      const last = lane?.acknowledged ?? cursor.backlog;
      if (sequence <= last) throw new Error(`${id} was settled before, or out of order: the cursor is at ${last}`);
      const skipped = this.stored.slice(last, sequence - 1).find(({ kind }) => cursor.kinds.includes(kind));
      if (skipped !== undefined) throw new Error(`${id} was settled before ${skipped.id}`);
      if (lane === undefined) cursor.backlog = sequence;
      else lane.acknowledged = sequence;
    }
  }

  #fail(): void {
    if (this.unavailable) throw new OperatingError('outbox-unavailable', 'retry', 'The outbox is being reopened');
  }
}
