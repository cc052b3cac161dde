import type { Lane, RecordStore } from '../contracts/record-store.ts';
import type { Uplink, UplinkTransport } from '../contracts/uplink.ts';
import type { StoredRecord } from '../domain/record/record.ts';
import { Backoff } from '../platform/backoff.ts';
import { sleep } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage, InvariantError, OperatingError } from '../platform/errors.ts';
import { Bell } from './bell.ts';
import type { Batch } from './consignment.ts';
import { Consignment, planBatches } from './consignment.ts';
import { Pace } from './pace.ts';
import { Settler } from './settler.ts';
import { UplinkError } from './uplink-errors.ts';
import type { UplinkFields } from './uplink-fields.ts';
import { UplinkReport } from './uplink-report.ts';

export type UplinkPumpOptions = {
  readonly id: string;
  readonly config: UplinkFields;
  readonly records: RecordStore;
  readonly transport: UplinkTransport;
  /**
   * Batches that may be under way at once; over 1 only where the transport keeps their order, as one connection
   * does, and never finds one too large.
   */
  readonly inFlightMax: number;
  readonly deps: Deps;
};

/** Batches read from the outbox in one go where only one is under way at a time. */
const READ_AHEAD_BATCHES = 4;
/** Live consignments in a row before the backlog gets one, so that it never starves. */
const LIVE_IN_A_ROW = 4;
/** An idle uplink looks by itself this often, in case a commit was never told. */
const SAFETY_LOOK_MS = 30_000;
/** How long an aborted send may take to let go. */
const ABORT_GRACE_MS = 1000;

/**
 * Moves records from the outbox through a transport: at least once, in order, for as long as it takes.
 *
 * A consignment of some batches is read, sent with up to `inFlightMax` batches under way, and settled before the
 * next is read, because reading always begins at the cursor. A batch that fails with 'retry' keeps its place and is
 * sent again, after the backoff, after what the receiver asked for, or as soon as the connection is back. A refused
 * batch becomes dead letters; several refused in a row are slowed down by the same backoff, because then it is
 * probably the receiver that is wrong. Memory is bounded by one consignment.
 */
export class UplinkPump implements Uplink {
  readonly #options: UplinkPumpOptions;
  readonly #deps: Deps;
  readonly #report: UplinkReport;
  readonly #settler: Settler;
  readonly #pace: Pace;
  readonly #backoff: Backoff;
  readonly #storeBackoff: Backoff;
  readonly #committed: Bell;
  readonly #again: Bell;
  readonly #abort = new AbortController();
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #disposed: Promise<void> | undefined;
  #liveInARow = 0;
  #refusedInARow = 0;

  constructor(options: UplinkPumpOptions) {
    const { id, records, deps, config } = options;
    this.#options = options;
    this.#deps = deps;
    this.#report = new UplinkReport(id, records, deps);
    this.#pace = new Pace(config.pace, deps.clock);
    const waits = { firstMs: config.retry.firstMs, maxMs: config.retry.maxMs, random: deps.random };
    this.#backoff = new Backoff(waits);
    this.#storeBackoff = new Backoff(waits);
    this.#committed = new Bell(deps.clock);
    this.#again = new Bell(deps.clock);
    this.#settler = new Settler({
      uplink: id,
      records,
      report: this.#report,
      backoff: new Backoff(waits),
      clock: deps.clock,
    });
  }

  start(): void {
    if (this.#running !== undefined || this.#disposed !== undefined) return;
    const { records, transport } = this.#options;
    records.onCommit(() => this.#committed.ring());
    transport.onConnection?.((state) => {
      this.#report.connection(state);
      if (state.connected) this.#again.ring();
    });
    transport.start();
    this.#report.start();
    this.#running = this.#run();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    this.#stopping.abort();
    this.#settler.stop();
    this.#committed.ring();
    this.#again.ring();
    if (!(await this.#endsWithin(this.#options.config.stopTimeoutMs))) {
      this.#abort.abort();
      await this.#endsWithin(ABORT_GRACE_MS);
    }
    await this.#options.transport[Symbol.asyncDispose]();
    this.#report.close();
  }

  async #endsWithin(timeoutMs: number): Promise<boolean> {
    const ended = new AbortController();
    const end = () => ended.abort();
    // A rejection was our own bug, and ends the agent as such; the transport is still to be closed.
    const running = (this.#running ?? Promise.resolve()).then(end, end);
    await Promise.race([running, sleep(this.#deps.clock, timeoutMs, ended.signal)]);
    return ended.signal.aborted;
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.#committed.clear();
      const records = await this.#read();
      if (records === undefined) await this.#again.wait(this.#storeBackoff.nextMs());
      else if (records.length === 0) await this.#idle();
      else await this.#deliver(records);
    }
  }

  async #idle(): Promise<void> {
    // After a refusal only a batch that is taken proves the receiver well.
    if (this.#refusedInARow === 0) this.#report.well();
    await this.#committed.wait(SAFETY_LOOK_MS);
    const { lingerMs } = this.#options.config.batch;
    if (lingerMs > 0) await sleep(this.#deps.clock, lingerMs, this.#stopping.signal);
  }

  /** @returns Undefined where the outbox could not be read. */
  async #read(): Promise<readonly StoredRecord[] | undefined> {
    try {
      for (const lane of this.#lanes()) {
        const records = await this.#readLane(lane);
        if (records.length === 0) continue;
        this.#liveInARow = lane === 'live' ? this.#liveInARow + 1 : 0;
        return records;
      }
      return [];
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#report.storeFailed(error);
      return undefined;
    }
  }

  #lanes(): readonly Lane[] {
    if (this.#options.config.order === 'oldest-first') return ['backlog'];
    return this.#liveInARow >= LIVE_IN_A_ROW ? ['backlog', 'live'] : ['live', 'backlog'];
  }

  async #readLane(lane: Lane): Promise<readonly StoredRecord[]> {
    const { id, config, inFlightMax, records } = this.#options;
    // With live-first a consignment is kept short: what happens now waits for the one under way.
    const batches = config.order === 'live-first' ? inFlightMax : Math.max(inFlightMax, READ_AHEAD_BATCHES);
    const found = await records.read({
      uplink: id,
      lane,
      kinds: config.records,
      recordsMax: config.batch.recordsMax * batches,
      bytesMax: config.batch.bytesMax * batches,
    });
    this.#storeBackoff.reset();
    this.#report.storeWell();
    return found;
  }

  async #deliver(records: readonly StoredRecord[]): Promise<void> {
    const consignment = new Consignment(planBatches(records, this.#options.config.batch));
    while (consignment.open && !this.#stopped) {
      this.#again.clear();
      // Known once connected, and another with each connection: batches under way together must not be refused for it.
      consignment.fit(this.#options.transport.bytesMax?.() ?? Infinity);
      const error = await this.#sendAll(consignment);
      if (error !== undefined && !this.#stopped) await this.#again.wait(this.#waitMs(error));
    }
    await this.#settler.drained();
  }

  #waitMs(error: OperatingError): number {
    const askedMs = 'retryAfterMs' in error ? error.retryAfterMs : undefined;
    if (typeof askedMs !== 'number') return this.#backoff.nextMs();
    const { firstMs, retryAfterMaxMs } = this.#options.config.retry;
    // On top, so that agents which were all told the same do not come back in one instant, nor a 0 makes a storm.
    return Math.min(askedMs, retryAfterMaxMs) + (firstMs * (1 + this.#deps.random())) / 2;
  }

  /** Sends what waits, in order, until all of it is out or something says to pause. @returns Why to pause. */
  async #sendAll(consignment: Consignment): Promise<OperatingError | undefined> {
    const underWay = new Set<Promise<void>>();
    let pause: OperatingError | undefined;
    const settle = async (batch: Batch) => {
      const error = await this.#send(batch, consignment);
      pause ??= error;
    };
    for (;;) {
      const goes = await this.#waitForPace();
      if (!goes || pause !== undefined) break;
      const batch = consignment.next();
      if (batch === undefined) break;
      this.#pace.book(batch.records.length, batch.bytes);
      const sending = settle(batch).finally(() => underWay.delete(sending));
      underWay.add(sending);
      if (underWay.size >= this.#options.inFlightMax) await Promise.race(underWay);
    }
    await Promise.all(underWay);
    return pause;
  }

  /** @returns False where the uplink stops. */
  async #waitForPace(): Promise<boolean> {
    const waitMs = this.#pace.waitMs();
    if (waitMs > 0) await sleep(this.#deps.clock, waitMs, this.#stopping.signal);
    return !this.#stopped;
  }

  /** Never throws for what the receiver does. @returns Why to pause before the next batch; undefined where to go on. */
  async #send(batch: Batch, consignment: Consignment): Promise<OperatingError | undefined> {
    const startedMs = this.#deps.clock.monotonicMs();
    try {
      await this.#options.transport.send(batch.records, this.#abort.signal);
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      const failure = error instanceof OperatingError ? error : unexpected(error);
      const pause = this.#failed(batch, consignment, failure);
      this.#settler.push(consignment.takeSettled());
      return pause;
    }
    consignment.acknowledge(batch);
    this.#settler.push(consignment.takeSettled());
    this.#report.sent(batch, this.#deps.clock.monotonicMs() - startedMs);
    this.#backoff.reset();
    this.#refusedInARow = 0;
    return undefined;
  }

  #failed(batch: Batch, consignment: Consignment, error: OperatingError): OperatingError | undefined {
    switch (error.disposition) {
      case 'retry':
        consignment.giveBack(batch);
        // What a stop broke off is no failure of the receiver.
        if (!this.#abort.signal.aborted) this.#report.failed(error);
        return error;
      case 'reject':
        if (error.code === 'uplink-batch-too-large' && batch.records.length > 1) {
          consignment.split(batch);
          this.#report.split();
          return undefined;
        }
        consignment.refuse(batch, error.code, error.message);
        this.#report.refused(error, batch.records.length);
        this.#refusedInARow += 1;
        return this.#refusedInARow > 1 ? error : undefined;
    }
  }
}

function unexpected(error: unknown): OperatingError {
  return new UplinkError('uplink-unexpected', `The uplink failed unexpectedly: ${errorMessage(error)}`, {
    cause: error,
  });
}
