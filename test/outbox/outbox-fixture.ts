import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type AlarmTransition, normalFacts } from '../../src/domain/alarm/alarm.ts';
import type { RecordDraft, RecordKind, StoredRecord } from '../../src/domain/record/record.ts';
import type { HistoryQuery, Lane, OutboxStats } from '../../src/contracts/record-store.ts';
import { HistoryStore } from '../../src/outbox/history/history-store.ts';
import type { HistoryBatch, HistoryPage, HistoryReport } from '../../src/outbox/history/history-protocol.ts';
import { HistoryStorage } from '../../src/outbox/history-storage.ts';
import { RecordBatch } from '../../src/domain/record/record-batch.ts';
import { Outbox } from '../../src/outbox/outbox.ts';
import { outboxConfigSchema } from '../../src/outbox/file/outbox-config.ts';
import { batchOf } from '../../src/outbox/file/append-batch.ts';
import { Storage } from '../../src/outbox/storage.ts';
import type {
  AppendOutcome,
  SequenceSpans,
  StorageReport,
  UplinkInterest,
} from '../../src/outbox/file/storage-protocol.ts';
import { RecordReader, type RecordReadResult } from '../../src/outbox/records/record-reader.ts';
import type { Moved } from '../../src/platform/rpc.ts';
import { recordsIn } from '../support/batch-records.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { programPath } from '../support/programs.ts';
import { testDeps } from '../support/test-deps.ts';

const historyEntry = new URL('../../src/hosts/history-worker.ts', import.meta.url);
const storageEntry = new URL('../../src/hosts/storage-worker.ts', import.meta.url);
export const allKinds: readonly RecordKind[] = ['alarm', 'verdict', 'sample', 'loss'];
export const cloud: UplinkInterest = { id: 'cloud', kinds: allKinds };

/** In memory if the system has /dev/shm: a test opens many files, and each open waits for the disk about ten times. */
const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A folder that goes with the test. */
export function testFolder(): string {
  const folder = mkdtempSync(join(base, 'andon-outbox-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A disk of 4 MB; undefined if this user may not mount one. */
export function smallDisk(): string | undefined {
  const folder = testFolder();
  const { status } = spawnSync(programPath('mount') ?? 'none', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder]);
  if (status !== 0) return undefined;
  onTestFinished(() => void spawnSync(programPath('umount') ?? 'none', ['-l', folder]));
  return folder;
}

export type OpenOptions = {
  readonly folder: string;
  readonly uplinks?: readonly UplinkInterest[];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly deps?: Deps;
  /** Default: the storage worker of the agent. */
  readonly entry?: URL;
};

/** A started outbox on `<folder>/outbox.db`; stopped when the test ends, or before by `await using`. */
export async function openOutbox({
  folder,
  uplinks = [cloud],
  config = {},
  deps = testDeps(),
  entry = storageEntry,
}: OpenOptions) {
  const outbox = new Outbox({
    agentId: 'edge-01',
    entry,
    config: outboxConfigSchema.parse({ path: join(folder, 'outbox.db'), ...config }),
    uplinks,
    deps,
  });
  onTestFinished(() => outbox[Symbol.asyncDispose]());
  await outbox.start();
  return outbox;
}

/** A started history in `folder`, with its thread; stopped when the test ends, or before by `await using`. */
export function startHistory(folder: string, deps: Deps, entry = historyEntry): HistoryStorage {
  const config = outboxConfigSchema.parse({ path: join(folder, 'outbox.db') });
  const storage = new HistoryStorage({ entry, config, deps });
  onTestFinished(() => storage[Symbol.asyncDispose]());
  storage.start();
  return storage;
}

type TestBatch = Omit<HistoryBatch, 'id' | 'qualities'> & Partial<Pick<HistoryBatch, 'qualities'>>;

/** The history itself, without its thread. */
export function openHistory(folder: string, config: Readonly<Record<string, unknown>> = {}, nowMs = 1_800_000_000_000) {
  const handlers = new HistoryStore(
    outboxConfigSchema.parse({ path: join(folder, 'outbox.db'), ...config }),
  ).handlers();
  void handlers.open({ nowMs });
  let batches = 0;
  return {
    append: ({ timesMs, qualities = new Uint8Array(timesMs.length), ...series }: TestBatch) =>
      void handlers.append({ id: `batch/${(batches += 1)}`, timesMs, qualities, ...series }),
    read: (tag: string) =>
      handlers.read({ tag, fromMs: 0, toMs: 1e15, limit: undefined, after: undefined }) as HistoryPage,
    upkeep: (atMs = nowMs) => handlers.upkeep({ nowMs: atMs, idle: false }) as HistoryReport,
    handlers,
    stop: () => void handlers.close(undefined),
  };
}

/** The storage itself, without its thread: for tests of what is on the disk. `stop` is a clean end, leaving it away a crash. */
export function openStorage(
  folder: string,
  {
    config = {},
    uplinks = [cloud],
    nowMs = 1_800_000_000_000,
    life = 'one process',
  }: Partial<OpenOptions> & { readonly nowMs?: number; readonly life?: string } = {},
) {
  let epochs = 0;
  let batches = 0;
  const parsed = outboxConfigSchema.parse({ path: join(folder, 'outbox.db'), ...config });
  const handlers = new Storage({
    agentId: 'edge-01',
    config: parsed,
    uplinks,
    life,
    newEpoch: (atMs) => `${atMs.toString(36)}-${(epochs += 1)}-${Math.random().toString(36).slice(2, 8)}`,
  }).handlers();
  const opened = handlers.open({ nowMs }) as StorageReport;
  const { path, maxSizeBytes: bytesMax } = parsed;
  const reader = new RecordReader({ agentId: 'edge-01', path, bytesMax }).handlers();
  return {
    opened,
    append: (...drafts: readonly RecordDraft[]) => {
      const bodies = drafts.map(({ body, columns }) => (columns === undefined ? JSON.stringify(body) : ''));
      const { ids } = handlers.append({
        ...batchOf(drafts, bodies),
        number: batches,
        isRetry: false,
      }) as AppendOutcome;
      batches += 1;
      return ids;
    },
    read: (lane: Lane = 'backlog', recordsMax = 500, uplink = 'cloud', kinds = allKinds, atMs = nowMs) => {
      const claim = { uplink, lane, kinds, after: undefined, recordsMax, nowMs: atMs };
      const limits = { recordsMax, bytesMax: 1e6 };
      for (;;) {
        const spans = handlers.claim(claim) as SequenceSpans;
        const { result } = reader.read({ ...spans, uplink, kinds, limits, batchesMax: 1 }) as Moved<RecordReadResult>;
        if (result.damaged.length > 0) void handlers.damaged({ sequences: result.damaged });
        if (result.damaged.length === 0 || result.batches.length > 0)
          return recordsIn(result.batches.map((batch) => new RecordBatch(batch)));
      }
    },
    acknowledge: (records: readonly StoredRecord[], uplink = 'cloud', atMs = nowMs) => {
      const [first, last] = [records[0], records.at(-1)];
      if (first !== undefined && last !== undefined) void handlers.acknowledge({ uplink, first, last, nowMs: atMs });
    },
    history: (query: HistoryQuery) => reader.history(query) as readonly StoredRecord[],
    upkeep: (atMs = nowMs, idle = false) => handlers.upkeep({ nowMs: atMs, idle }) as StorageReport,
    stats: () => handlers.stats(undefined) as OutboxStats,
    alarms: () => handlers.alarms(undefined) as readonly AlarmTransition[],
    handlers,
    reader,
    stop: () => {
      void reader.close(undefined);
      void handlers.close(undefined);
    },
  };
}

export type TestStorage = ReturnType<typeof openStorage>;

/** Returns every record that waits for the uplink, and acknowledges it. */
export function drainStorage(storage: TestStorage): readonly StoredRecord[] {
  const all: StoredRecord[] = [];
  for (let records = storage.read(); records.length > 0; records = storage.read()) {
    all.push(...records);
    storage.acknowledge(records);
  }
  return all;
}

export function draft(kind: RecordKind, number: number, bytes = 0): RecordDraft {
  const body = { number, padding: 'x'.repeat(bytes) };
  return {
    kind,
    timestampMs: 1_800_000_000_000 + number,
    watch: kind === 'verdict' ? 'pump-1' : '',
    body,
    alarm: undefined,
  };
}

export function alarmDraft(number: number): RecordDraft {
  const alarm: AlarmTransition = {
    alarm: 'watch/pump-1',
    watch: 'pump-1',
    number,
    state: 'unacknowledged',
    previous: 'normal',
    priority: 'high',
    cause: 'score-above-threshold',
    message: 'Vibration of pump-1 is high',
    parameters: {},
    by: undefined,
    timestampMs: 1_800_000_000_000 + number,
    score: 0.9,
    facts: { ...normalFacts, active: true, acknowledged: false },
  };
  return { kind: 'alarm', timestampMs: alarm.timestampMs, watch: 'pump-1', body: { number }, alarm };
}

/** Returns every record for an uplink, acknowledged batch by batch. */
export async function drain(
  outbox: Outbox,
  { uplink, kinds }: { readonly uplink: string; readonly kinds: readonly RecordKind[] } = {
    uplink: 'cloud',
    kinds: allKinds,
  },
  lane: Lane = 'backlog',
  recordsMax = 500,
): Promise<readonly StoredRecord[]> {
  const all: StoredRecord[] = [];
  for (;;) {
    const limits = { recordsMax, bytesMax: 1e6 };
    const batches = await outbox.readers.read({ uplink, lane, kinds, limits, batchesMax: 1, after: undefined });
    if (batches.length === 0) return all;
    all.push(...recordsIn(batches));
    await outbox.readers.acknowledge(uplink, batches);
  }
}

export function numberOf(record: StoredRecord): number {
  return Number((JSON.parse(record.body) as { readonly number: unknown }).number);
}
