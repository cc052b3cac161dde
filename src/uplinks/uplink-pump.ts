import type { Lane, UplinkRecords } from '../contracts/record-store.ts';
import type { Uplink, UplinkTransport } from '../contracts/uplink.ts';
import type { RecordBatch } from '../domain/record/record-batch.ts';
import { Backoff } from '../platform/backoff.ts';
import { sleep } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorCode, errorMessage, InvariantError, OperatingError } from '../platform/errors.ts';
import { ThinnedRecords } from './thinning/thinned-records.ts';
import { AckWriter } from './ack-writer.ts';
import { InFlightBatches } from './in-flight-batches.ts';
import { Pace } from './pace.ts';
import { UplinkError } from './uplink-errors.ts';
import type { UplinkFields } from './uplink-fields.ts';
import { UplinkReport } from './uplink-report.ts';
import { WakeSignal } from './wake-signal.ts';

export type UplinkPumpOptions = {
  readonly id: string;
  readonly config: UplinkFields;
  readonly records: UplinkRecords;
  readonly transport: UplinkTransport;
  /** Maximum number of batches in flight. More than 1 requires a transport that keeps their order. */
  readonly inFlightMax: number;
  readonly deps: Deps;
};

/** Batches in one read of the outbox if only one may be in flight. */
const READ_AHEAD_BATCHES = 4;
/** Reads of live records in a row before the backlog gets one, so that the backlog never starves. */
const LIVE_IN_A_ROW = 4;
/** An idle uplink reads the outbox this often, in case a commit was not reported. */
const IDLE_READ_MS = 30_000;
/** Refusals that concern some records of a batch. */
const splitCodes: ReadonlySet<string> = new Set(['uplink-batch-too-large', 'uplink-partly-refused']);
/** Longest wait for an aborted send to end. */
const ABORT_GRACE_MS = 1000;

/**
 * Sends records from the outbox through a transport: at least once, in order, without a limit on attempts.
 *
 * Some batches are read and sent with up to `inFlightMax` in flight, while the next ones are read. Memory is bounded by
 * two reads. With live-first every batch is settled before the next read, because either lane may be next.
 *
 * | A batch | Next |
 * | --- | --- |
 * | fails with 'retry' | sent again at its position after the backoff or the Retry-After of the receiver, or when the connection is back |
 * | is refused | becomes dead letters; further refusals in a row wait for the backoff, because the receiver is then probably at fault |
 */
export class UplinkPump implements Uplink {
  readonly #options: UplinkPumpOptions;
  readonly #deps: Deps;
  readonly #report: UplinkReport;
  readonly #ackWriter: AckWriter;
  readonly #pace: Pace;
  readonly #backoff: Backoff;
  readonly #storeBackoff: Backoff;
  readonly #committed: WakeSignal;
  readonly #again: WakeSignal;
  readonly #abort = new AbortController();
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #disposed: Promise<void> | undefined;
  /** The next read, begun while the batches of the last one are sent. */
  #ahead: Promise<readonly RecordBatch[] | undefined> | undefined;
  #unsubscribe: (() => void) | undefined;
  #liveInARow = 0;
  #refusedInARow = 0;

  constructor(given: UplinkPumpOptions) {
    const { id, deps, config } = given;
    const records = config.thin === undefined ? given.records : new ThinnedRecords(given.records, config.thin);
    const options = { ...given, records };
    this.#options = options;
    this.#deps = deps;
    this.#report = new UplinkReport(id, records, deps);
    this.#pace = new Pace(config.pace, deps.clock);
    const waits = { firstMs: config.retry.firstMs, maxMs: config.retry.maxMs, random: deps.random };
    this.#backoff = new Backoff(waits);
    this.#storeBackoff = new Backoff(waits);
    this.#committed = new WakeSignal(deps.clock);
    this.#again = new WakeSignal(deps.clock);
    this.#ackWriter = new AckWriter({
      uplink: id,
      records,
      report: this.#report,
      backoff: new Backoff(waits),
      stopped: new WakeSignal(deps.clock),
    });
  }

  start(): void {
    if (this.#running !== undefined || this.#disposed !== undefined) return;
    const { records, transport } = this.#options;
    this.#unsubscribe = records.onCommit(() => this.#committed.set());
    transport.onConnection?.((state) => {
      this.#report.connection(state);
      if (!state.connected) return;
      this.#again.set();
      // An idle uplink may have to send acknowledged records again.
      if (transport.rewindTo?.() !== undefined) this.#committed.set();
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
    this.#unsubscribe?.();
    this.#ackWriter.stop();
    this.#committed.set();
    this.#again.set();
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
    // A rejection is a bug of our own, which ends the agent; the transport must be closed all the same.
    const running = (this.#running ?? Promise.resolve()).then(end, end);
    await Promise.race([running, sleep(this.#deps.clock, timeoutMs, ended.signal)]);
    return ended.signal.aborted;
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      if (!(await this.#rewind())) {
        await this.#again.wait(this.#storeBackoff.nextMs());
        continue;
      }
      this.#committed.clear();
      const batches = await this.#read();
      if (batches === undefined) await this.#again.wait(this.#storeBackoff.nextMs());
      else if (batches.length === 0) await this.#idle();
      else await this.#deliver(batches);
    }
  }

  async #idle(): Promise<void> {
    // After a refusal the state stays degraded until the receiver accepts a batch.
    if (this.#refusedInARow === 0) this.#report.ok();
    await this.#committed.wait(IDLE_READ_MS);
    const { lingerMs } = this.#options.config.batch;
    if (lingerMs > 0) await sleep(this.#deps.clock, lingerMs, this.#stopping.signal);
  }

  /** @returns Undefined if the outbox could not be read. */
  async #read(after?: number): Promise<readonly RecordBatch[] | undefined> {
    try {
      for (const lane of this.#lanes()) {
        const batches = await this.#readLane(lane, after);
        if (batches.length === 0) continue;
        this.#liveInARow = lane === 'live' ? this.#liveInARow + 1 : 0;
        return batches;
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

  async #readLane(lane: Lane, after: number | undefined): Promise<readonly RecordBatch[]> {
    const { id, config, inFlightMax, records } = this.#options;
    // With live-first a read is kept short, because live records wait until it is delivered.
    const batchesMax = config.order === 'live-first' ? inFlightMax : Math.max(inFlightMax, READ_AHEAD_BATCHES);
    const found = await records.read({
      uplink: id,
      lane,
      kinds: config.records,
      limits: config.batch,
      batchesMax,
      values: config.values,
      after,
    });
    this.#storeBackoff.reset();
    this.#report.storeOk();
    return found;
  }

  async #deliver(first: readonly RecordBatch[]): Promise<void> {
    const batches = new InFlightBatches();
    this.#add(first, batches);
    while (batches.open && !this.#stopped && !this.#mustRewind) {
      this.#again.clear();
      this.#fit(batches);
      const error = await this.#sendAll(batches);
      if (error !== undefined && !this.#stopped) await this.#again.wait(this.#waitMs(error));
    }
    if (this.#mustRewind) {
      await this.#ahead;
      this.#ahead = undefined;
      batches.dropSettled();
    }
    await this.#ackWriter.drained();
  }

  get #mustRewind(): boolean {
    return this.#options.transport.rewindTo?.() !== undefined;
  }

  /** Moves back to what the receiver has lost. @returns False if the outbox failed. */
  async #rewind(): Promise<boolean> {
    const { id, records, transport } = this.#options;
    const sequence = transport.rewindTo?.();
    if (sequence === undefined) return true;
    try {
      await records.rewind(id, { sequence });
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      // Refused: the records are no longer stored, or wait already.
      if (errorCode(error) !== 'rewind-refused') {
        this.#report.storeFailed(error);
        return false;
      }
    }
    transport.rewound?.();
    return true;
  }

  /** Adds batches that were read, and begins to read the next ones. */
  #add(read: readonly RecordBatch[], batches: InFlightBatches): void {
    batches.add(read);
    const isAhead = this.#options.config.order === 'oldest-first' && read.length > 0;
    this.#ahead = isAhead ? this.#read(read.at(-1)?.last.sequence) : undefined;
  }

  /** @returns False if no further batches are to be sent before the others are settled. */
  async #addAhead(batches: InFlightBatches): Promise<boolean> {
    const read = await this.#ahead;
    this.#ahead = undefined;
    if (read === undefined || read.length === 0 || batches.isDropped) return false;
    this.#add(read, batches);
    this.#fit(batches);
    return true;
  }

  /** The limit is known once connected and may differ for each connection. */
  #fit(batches: InFlightBatches): void {
    batches.fit(this.#options.transport.bytesMax?.() ?? Infinity);
  }

  #waitMs(error: OperatingError): number {
    const retryAfterMs = 'retryAfterMs' in error ? error.retryAfterMs : undefined;
    if (typeof retryAfterMs !== 'number') return this.#backoff.nextMs();
    const { firstMs, retryAfterMaxMs } = this.#options.config.retry;
    // The addition spreads agents that got the same Retry-After, and slows down a Retry-After of 0.
    return Math.min(retryAfterMs, retryAfterMaxMs) + (firstMs * (1 + this.#deps.random())) / 2;
  }

  /** Sends the waiting batches in order until none is left or an error requires a pause. @returns That error. */
  async #sendAll(batches: InFlightBatches): Promise<OperatingError | undefined> {
    const inFlight = new Set<Promise<void>>();
    let pause: OperatingError | undefined;
    const settle = async (batch: RecordBatch) => {
      const error = await this.#send(batch, batches);
      pause ??= error;
    };
    for (;;) {
      const isRunning = await this.#waitForPace();
      if (!isRunning || pause !== undefined) break;
      const batch = batches.next();
      if (batch === undefined) {
        if (await this.#addAhead(batches)) continue;
        break;
      }
      this.#pace.book(batch.length, batch.bytes);
      const sending = settle(batch).finally(() => inFlight.delete(sending));
      inFlight.add(sending);
      if (inFlight.size >= this.#options.inFlightMax) await Promise.race(inFlight);
    }
    await Promise.all(inFlight);
    return pause;
  }

  /** @returns False if the uplink stops. */
  async #waitForPace(): Promise<boolean> {
    const waitMs = this.#pace.waitMs();
    if (waitMs > 0) await sleep(this.#deps.clock, waitMs, this.#stopping.signal);
    return !this.#stopped;
  }

  /** @returns The error that requires a pause before the next batch, if any. Errors of the receiver are not thrown. */
  async #send(batch: RecordBatch, batches: InFlightBatches): Promise<OperatingError | undefined> {
    const startedMs = this.#deps.clock.monotonicMs();
    try {
      await this.#options.transport.send(batch, this.#abort.signal);
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      const failure = error instanceof OperatingError ? error : unexpected(error);
      const pause = this.#failed(batch, batches, failure);
      this.#ackWriter.write(batches);
      return pause;
    }
    batches.acknowledge(batch);
    this.#ackWriter.write(batches);
    this.#report.sent(batch, this.#deps.clock.monotonicMs() - startedMs);
    this.#backoff.reset();
    this.#refusedInARow = 0;
    return undefined;
  }

  #failed(batch: RecordBatch, batches: InFlightBatches, error: OperatingError): OperatingError | undefined {
    switch (error.disposition) {
      case 'retry':
        batches.giveBack(batch);
        // A batch aborted by a stop is not a failure of the receiver.
        if (!this.#abort.signal.aborted) this.#report.failed(error);
        return error;
      case 'reject':
        if (splitCodes.has(error.code) && batch.isDivisible) {
          batches.split(batch);
          this.#report.split();
          return undefined;
        }
        batches.refuse(batch, error.code, error.message);
        this.#report.refused(error, batch.length);
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
