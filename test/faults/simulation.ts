import { join } from 'node:path';
import { type RecordDraft, type RecordKind, recordKinds, type StoredRecord } from '../../src/domain/record/record.ts';
import { type AppendBatch, batchOf } from '../../src/outbox/file/append-batch.ts';
import { outboxConfigSchema } from '../../src/outbox/file/outbox-config.ts';
import type { AppendOutcome, SequenceSpans, StorageReport } from '../../src/outbox/file/storage-protocol.ts';
import { RecordBatch } from '../../src/domain/record/record-batch.ts';
import { RecordReader, type RecordReadResult } from '../../src/outbox/records/record-reader.ts';
import type { Moved } from '../../src/platform/rpc.ts';
import { recordsIn } from '../support/batch-records.ts';
import { Storage } from '../../src/outbox/storage.ts';
import { seededRandom } from '../../src/plant/seeded-random.ts';
import { LossTally } from '../../src/outbox/loss-tally.ts';
import { OperatingError } from '../../src/platform/errors.ts';
import { alarmTransition } from './simulation-alarm.ts';
import { LossOracle } from './loss-oracle.ts';
import type { FaultField } from './fault-shim.ts';

const STEPS = 400;
const UPLINKS = ['cloud', 'lake'] as const;
const DISK_FAULTS = ['fsyncEio', 'writeEnospc', 'writeEio', 'writeErofs'] as const satisfies readonly FaultField[];
/** Rounds of upkeep and delivery at the end, 11 s apart, so that loss records are written and sent. */
const LAST_ROUNDS = 10;

type Uplink = (typeof UPLINKS)[number];
/** Every fourth seed has an outbox that overflows: it is small, and an uplink is down for most of the time. */
const FULL_EVERY = 4;
const POLICIES = ['drop-samples-first', 'drop-oldest', 'reject-new'] as const;

type PendingBatch = { readonly batch: AppendBatch; readonly numbers: readonly number[]; tries: number };

export type SimulationResult = {
  readonly seed: number;
  /** Broken promises; empty if the storage kept all. */
  readonly broken: readonly string[];
  readonly appended: number;
  readonly stored: number;
  readonly refused: number;
  readonly crashes: number;
  readonly faults: number;
  /** Losses that the uplinks were told of. */
  readonly lost: number;
};

/**
 * Drives the storage with a seed: appends, two uplinks over a network that loses batches and acknowledgements, a clock that
 * jumps, a disk that fails, and crashes. All choices come from the seed, and nothing depends on time, so a seed replays.
 *
 * The oracle keeps every record that was reported as stored. At the end each uplink must have received each of them, under the
 * same id, in order, or a loss record that names it; no id may stand for two records; no alarm may be stored twice; and without
 * a crash of the process, the metrics of losses must equal the loss records.
 */
export class Simulation {
  readonly #seed: number;
  readonly #folder: string;
  readonly #random: () => number;
  readonly #setFault: (field: FaultField, value: number) => void;
  readonly #broken: string[] = [];
  /** Number of the draft, by id, of everything that was reported as stored. */
  readonly #acknowledged = new Map<string, number>();
  readonly #kinds = new Map<string, RecordKind>();
  readonly #isFull: boolean;
  readonly #onFull: (typeof POLICIES)[number];
  readonly #losses = new Map<Uplink, LossOracle>();
  /** Losses that the producer reports, as the main thread does. */
  #tally: LossTally;
  #refused = 0;
  #report: StorageReport | undefined;
  #processCrashes = 0;
  readonly #received: Record<Uplink, Map<string, number>> = { cloud: new Map(), lake: new Map() };
  readonly #numberById = new Map<string, number>();
  #pending: PendingBatch[] = [];
  #handlers;
  #reader;
  #nowMs = Date.UTC(2026, 0, 1);
  #life = 0;
  #nextBatch = 0;
  #nextNumber = 0;
  #nextAlarm = 1;
  #faultSteps = 0;
  #counts = { refused: 0, crashes: 0, faults: 0 };

  constructor(seed: number, folder: string, setFault: (field: FaultField, value: number) => void) {
    this.#seed = seed;
    this.#folder = folder;
    this.#random = seededRandom(seed);
    this.#setFault = setFault;
    this.#isFull = seed % FULL_EVERY === 0;
    this.#onFull = this.#pick(POLICIES);
    for (const uplink of UPLINKS) this.#losses.set(uplink, new LossOracle(uplink, this.#kinds));
    this.#tally = new LossTally('process 0');
    this.#handlers = this.#open();
    this.#reader = this.#openReader();
  }

  run(): SimulationResult {
    for (let step = 0; step < STEPS; step += 1) this.#step(step);
    this.#endFaults();
    for (let round = 0; round < LAST_ROUNDS; round += 1) {
      this.#nowMs += 11_000;
      this.#upkeep();
      this.#appendPending();
      for (const uplink of UPLINKS) while (this.#deliver(uplink, 'works'));
    }
    this.#check();
    void this.#reader.close(undefined);
    void this.#handlers.close(undefined);
    const { refused, crashes, faults } = this.#counts;
    const [appended, stored] = [this.#nextNumber, this.#acknowledged.size];
    const lost = (this.#report?.lost ?? []).reduce(
      (sum, { uplink, count }) => sum + (uplink === undefined ? 0 : count),
      0,
    );
    return { seed: this.#seed, broken: this.#broken, appended, stored, refused, crashes, faults, lost };
  }

  #step(step: number): void {
    this.#nowMs += Math.floor(this.#random() * 500);
    // A failed disk may have closed the file without an error that the caller gets.
    if (this.#faultSteps > 0) for (const losses of this.#losses.values()) losses.reopened();
    if (this.#faultSteps > 0 && (this.#faultSteps -= 1) === 0) this.#endFaults();
    const choice = this.#random();
    if (choice < 0.4) this.#append();
    else if (choice < 0.7) this.#deliverSome(step);
    else if (choice < 0.85) this.#upkeep();
    else if (choice < 0.9) this.#appendPending();
    else if (choice < 0.93) this.#jumpClock();
    else if (choice < 0.97) this.#beginFault();
    else if (choice < 0.985 || this.#isFull) this.#crash('worker');
    else this.#crash('process');
  }

  #open() {
    this.#life += 1;
    const life = this.#life;
    let epochs = 0;
    const handlers = new Storage({
      agentId: 'edge',
      config: outboxConfigSchema.parse({
        path: join(this.#folder, 'outbox.db'),
        onFull: this.#onFull,
        ...(this.#isFull ? { maxSize: '1MB' } : {}),
      }),
      uplinks: UPLINKS.map((id) => ({ id, kinds: recordKinds })),
      life: `process ${this.#processCrashes}`,
      newEpoch: () => `e${String(life).padStart(4, '0')}-${(epochs += 1)}`,
    }).handlers();
    this.#try(() => {
      this.#report = handlers.open({ nowMs: this.#nowMs }) as StorageReport;
    });
    return handlers;
  }

  #openReader() {
    return new RecordReader({
      agentId: 'edge',
      path: join(this.#folder, 'outbox.db'),
      bytesMax: this.#isFull ? 1e6 : 2e9,
    }).handlers();
  }

  #append(): void {
    const drafts = Array.from({ length: 1 + Math.floor(this.#random() * 5) }, () => this.#draft());
    const numbers = drafts.map(({ body }) => Number(body['number']));
    const bodies = drafts.map(({ body }) => JSON.stringify(body));
    const batch = { ...batchOf(drafts, bodies), number: this.#nextBatch, isRetry: false };
    this.#nextBatch += 1;
    this.#pending.push({ batch, numbers, tries: 0 });
    this.#appendPending();
  }

  /** Sends the batches that wait, in order, as the main thread does. */
  #appendPending(): void {
    for (let first = this.#pending[0]; first !== undefined; first = this.#pending[0]) {
      const { batch, numbers, tries } = first;
      first.tries += 1;
      const outcome = this.#try(() => this.#handlers.append({ ...batch, isRetry: tries > 0 }) as AppendOutcome);
      if (outcome === undefined) {
        this.#counts.refused += 1;
        return;
      }
      // A retry may find its records, and a batch without room is not a commit.
      const isCommit = tries === 0 && outcome.ids.some((id) => id !== undefined);
      if (isCommit) for (const losses of this.#losses.values()) losses.saved();
      this.#pending.shift();
      for (const [index, id] of outcome.ids.entries())
        this.#stored(id, numbers[index] ?? -1, batch.kinds[index] ?? 'verdict');
    }
  }

  #stored(id: string | undefined, number: number, kind: RecordKind): void {
    if (id !== undefined) {
      this.#see(id, number, 'the storage');
      this.#acknowledged.set(id, number);
      this.#kinds.set(id, kind);
      // An alarm that is refused waits in its own database, and is stored later.
    } else if (kind !== 'alarm' && this.#isFull) {
      this.#refused += 1;
      if (this.#onFull === 'reject-new') this.#tally.add([{ kind, timestampMs: this.#nowMs }], 'outbox-full');
    } else if (kind !== 'alarm') this.#broken.push(`record ${number} (${kind}) was dropped, although nothing was full`);
  }

  #deliverSome(step: number): void {
    const uplink = this.#pick(UPLINKS);
    const network = this.#pick(['works', 'works', 'loses', 'loses-answer'] as const);
    const isDown = this.#isFull && uplink === 'lake' && step < 0.9 * STEPS && this.#random() < 0.9;
    if (!isDown) this.#deliver(uplink, network);
  }

  /** @returns False if nothing was acknowledged. */
  #deliver(uplink: Uplink, network: 'works' | 'loses' | 'loses-answer'): boolean {
    const records = this.#try(() => this.#read(uplink)) ?? [];
    const [first, last] = [records[0], records.at(-1)];
    if (first === undefined || last === undefined || network === 'loses') return false;
    for (const record of records) this.#receive(uplink, record);
    if (network === 'loses-answer') return false;
    const isAcknowledged = this.#try(
      () => this.#handlers.acknowledge({ uplink, first, last, nowMs: this.#nowMs }) === undefined,
    );
    if (isAcknowledged === true) this.#losses.get(uplink)?.acknowledged(records.map(({ id }) => id));
    return isAcknowledged === true;
  }

  /** Returns the next records of an uplink, which a connection of its own reads. */
  #read(uplink: Uplink): readonly StoredRecord[] {
    const claim = {
      uplink,
      lane: 'backlog',
      kinds: recordKinds,
      after: undefined,
      recordsMax: 20,
      nowMs: this.#nowMs,
    } as const;
    const limits = { recordsMax: 20, bytesMax: 1e6 };
    const spans = this.#handlers.claim(claim) as SequenceSpans;
    const request = { ...spans, uplink, kinds: recordKinds, limits, batchesMax: 1 };
    const { result } = this.#reader.read(request) as Moved<RecordReadResult>;
    if (result.damaged.length > 0) void this.#handlers.damaged({ sequences: result.damaged });
    return recordsIn(result.batches.map((batch) => new RecordBatch(batch)));
  }

  #receive(uplink: Uplink, record: StoredRecord): void {
    const { id, kind, body } = record;
    this.#losses.get(uplink)?.received(record);
    if (kind === 'loss' || kind === 'start') return;
    const { number } = JSON.parse(body) as { readonly number: number };
    this.#see(id, number, uplink);
    const received = this.#received[uplink];
    const newest = [...received.keys()].at(-1);
    if (!received.has(id) && newest !== undefined && !isAfter(id, newest))
      this.#broken.push(`${uplink} received ${id} after ${newest}`);
    if (!received.has(id)) received.set(id, number);
  }

  #see(id: string, number: number, who: string): void {
    const before = this.#numberById.get(id) ?? number;
    if (before !== number) this.#broken.push(`${who}: ${id} is record ${number}, and was record ${before}`);
    this.#numberById.set(id, number);
  }

  #upkeep(): void {
    const losses = this.#tally.report();
    if (losses !== undefined)
      this.#try(() => {
        void this.#handlers.lost({ ...losses, nowMs: this.#nowMs });
        this.#tally.confirm(losses.number);
      });
    for (let slices = 0; slices < 20; slices += 1) {
      const report = this.#try(() => this.#handlers.upkeep({ nowMs: this.#nowMs, idle: false }) as StorageReport);
      this.#report = report ?? this.#report;
      if (report?.more !== true) return;
    }
  }

  #jumpClock(): void {
    this.#nowMs = this.#pick([this.#nowMs + 3_600_000, this.#nowMs - 3_600_000, 60_000, Date.UTC(2027, 2, 28, 1)]);
  }

  #beginFault(): void {
    this.#counts.faults += 1;
    this.#faultSteps = 1 + Math.floor(this.#random() * 20);
    this.#setFault(this.#pick(DISK_FAULTS), this.#pick([1, 2, 5, -1]));
  }

  #endFaults(): void {
    for (const field of DISK_FAULTS) this.#setFault(field, 0);
  }

  /** The thread, or the whole process, ends without closing anything. With the process go the batches that wait. */
  #crash(part: 'worker' | 'process'): void {
    this.#counts.crashes += 1;
    for (const losses of this.#losses.values()) losses.reopened();
    if (part === 'process') {
      this.#pending = [];
      this.#nextBatch = 0;
      this.#processCrashes += 1;
      this.#tally = new LossTally(`process ${this.#processCrashes}`);
    }
    this.#handlers = this.#open();
    this.#reader = this.#openReader();
  }

  #check(): void {
    if (this.#pending.length > 0)
      this.#broken.push(`${this.#pending.length} batches are still refused after the faults`);
    for (const [uplink, losses] of this.#losses) {
      const received = new Set(this.#received[uplink].keys());
      this.#broken.push(
        ...losses.check(received, this.#refused, this.#processCrashes === 0 ? this.#report : undefined),
      );
    }
  }

  #draft(): RecordDraft {
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    const choice = this.#random();
    const padding = this.#isFull && choice >= 0.1 ? 'x'.repeat(Math.floor(this.#random() * 5000)) : '';
    const common = { timestampMs: this.#nowMs, body: { number, padding } };
    if (choice < 0.1)
      return { kind: 'alarm', watch: 'pump', ...common, alarm: alarmTransition(this.#nextAlarm++, this.#nowMs) };
    return choice < 0.8
      ? { kind: 'verdict', watch: 'pump', ...common, alarm: undefined }
      : { kind: 'sample', ...common, alarm: undefined };
  }

  /** @returns Undefined if the storage refused for now. Every other error is a bug. */
  #try<T>(call: () => T): T | undefined {
    try {
      return call();
    } catch (error) {
      for (const losses of this.#losses.values()) losses.reopened();
      if (error instanceof OperatingError && error.disposition === 'retry') return undefined;
      this.#broken.push(`unexpected error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      return undefined;
    }
  }

  #pick<const T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random() * choices.length)] as T;
  }
}

/** Ids of one epoch are in the order of their sequence; epochs follow each other. */
function isAfter(id: string, other: string): boolean {
  const [a, b] = [id, other].map((each) => Number(each.split('/')[2]));
  return (a ?? 0) > (b ?? 0);
}
