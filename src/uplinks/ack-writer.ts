import type { RecordStore } from '../contracts/record-store.ts';
import type { Backoff } from '../platform/backoff.ts';
import type { Clock } from '../platform/clock.ts';
import { InvariantError, OperatingError } from '../platform/errors.ts';
import type { Settlement } from './in-flight-batches.ts';
import type { UplinkReport } from './uplink-report.ts';
import { WakeSignal } from './wake-signal.ts';

export type AckWriterOptions = {
  readonly uplink: string;
  readonly records: RecordStore;
  readonly report: UplinkReport;
  readonly backoff: Backoff;
  readonly clock: Clock;
};

/**
 * Writes results to the outbox: one call at a time, in order, while the next batches are sent.
 *
 * Adjacent acknowledgements are joined, because each call costs the outbox a commit. The queue holds the results of
 * one read of the outbox at most.
 *
 * | The outbox | The writer |
 * | --- | --- |
 * | fails with 'retry' | repeats the call until it succeeds or `stop` is called |
 * | rejects the call | waits, then drops the queue; the next read starts at the cursor of the outbox |
 *
 * Records whose result was not stored are sent again.
 */
export class AckWriter {
  readonly #options: AckWriterOptions;
  readonly #stopped: WakeSignal;
  #stopping = false;
  #isDropped = false;
  #queue: Settlement[] = [];
  #working: Promise<void> | undefined;

  constructor(options: AckWriterOptions) {
    this.#options = options;
    this.#stopped = new WakeSignal(options.clock);
  }

  push(settlements: readonly Settlement[]): void {
    // The cursor must not move past an unwritten result, so the results after it are dropped too.
    if (this.#isDropped) return;
    this.#queue.push(...settlements);
    if (this.#queue.length > 0) this.#working ??= this.#work();
  }

  /** Resolves when every result is written or dropped. The next result is accepted again. */
  async drained(): Promise<void> {
    await this.#working;
    this.#isDropped = false;
  }

  /** Tries the waiting results once more, then drops them. */
  stop(): void {
    this.#stopping = true;
    this.#stopped.set();
  }

  async #work(): Promise<void> {
    while (this.#queue.length > 0) await this.#write(this.#takeJoined());
    this.#working = undefined;
  }

  #takeJoined(): Settlement {
    const [first, ...rest] = this.#queue;
    if (first?.type !== 'acknowledge') {
      this.#queue = rest;
      return first ?? { type: 'acknowledge', records: [] };
    }
    const end = this.#queue.findIndex(({ type }) => type !== 'acknowledge');
    const joined = end === -1 ? this.#queue : this.#queue.slice(0, end);
    this.#queue = end === -1 ? [] : this.#queue.slice(end);
    return { type: 'acknowledge', records: joined.flatMap(({ records }) => records) };
  }

  async #write(settlement: Settlement): Promise<void> {
    const { backoff, report } = this.#options;
    for (;;) {
      try {
        await this.#store(settlement);
        backoff.reset();
        report.storeOk();
        return;
      } catch (error) {
        if (error instanceof InvariantError) throw error;
        report.storeFailed(error);
        this.#isDropped = this.#stopping || (error instanceof OperatingError && error.disposition === 'reject');
        if (this.#isDropped) this.#queue = [];
        if (!this.#stopping) await this.#stopped.wait(backoff.nextMs());
        if (this.#isDropped) return;
      }
    }
  }

  async #store(settlement: Settlement): Promise<void> {
    const { uplink, records, report } = this.#options;
    switch (settlement.type) {
      case 'acknowledge':
        return records.acknowledge(uplink, settlement.records);
      case 'set-aside':
        await records.setAside(uplink, settlement.records, settlement.reason);
        report.setAside(settlement);
    }
  }
}
