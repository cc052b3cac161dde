import type { UplinkRecords } from '../contracts/record-store.ts';
import type { Backoff } from '../platform/backoff.ts';
import { InvariantError, OperatingError } from '../platform/errors.ts';
import type { InFlightBatches, Settlement } from './in-flight-batches.ts';
import type { UplinkReport } from './uplink-report.ts';
import type { WakeSignal } from './wake-signal.ts';

export type AckWriterOptions = {
  readonly uplink: string;
  readonly records: UplinkRecords;
  readonly report: UplinkReport;
  readonly backoff: Backoff;
  readonly stopped: WakeSignal;
};

/**
 * Writes the results of batches to the outbox: one call at a time, in order, while the next batches are sent.
 *
 * | The outbox | The writer |
 * | --- | --- |
 * | fails with 'retry' | repeats the call until it succeeds or `stop` is called |
 * | rejects the call | waits, then drops the results; the next read starts at the cursor of the outbox |
 *
 * Records whose result was not stored are sent again.
 */
export class AckWriter {
  readonly #options: AckWriterOptions;
  #stopping = false;
  #isWorking = false;
  #working: Promise<void> | undefined;

  constructor(options: AckWriterOptions) {
    this.#options = options;
  }

  /** Starts to write what is settled, if enough is or nothing else is in flight. */
  write(batches: InFlightBatches): void {
    if (!this.#isWorking && batches.isStoringDue) this.#working = this.#work(batches);
  }

  /** Resolves when every result is written or dropped. */
  async drained(): Promise<void> {
    await this.#working;
  }

  /** Tries the waiting results once more, then drops them. */
  stop(): void {
    this.#stopping = true;
    this.#options.stopped.set();
  }

  async #work(batches: InFlightBatches): Promise<void> {
    this.#isWorking = true;
    const take = () => (batches.isStoringDue ? batches.takeSettled() : undefined);
    for (let next = take(); next !== undefined; next = take())
      // The cursor must not move past an unwritten result, so the results after it are dropped too.
      if (!(await this.#isStored(next))) batches.dropSettled();
    this.#isWorking = false;
  }

  async #isStored(settlement: Settlement): Promise<boolean> {
    const { backoff, report, stopped } = this.#options;
    for (;;) {
      try {
        await this.#store(settlement);
        backoff.reset();
        report.storeOk();
        return true;
      } catch (error) {
        if (error instanceof InvariantError) throw error;
        report.storeFailed(error);
        const isDropped = this.#stopping || (error instanceof OperatingError && error.disposition === 'reject');
        if (!this.#stopping) await stopped.wait(backoff.nextMs());
        if (isDropped) return false;
      }
    }
  }

  async #store(settlement: Settlement): Promise<void> {
    const { uplink, records, report } = this.#options;
    if (settlement.type === 'acknowledge') return records.acknowledge(uplink, settlement.batches);
    await records.setAside(uplink, settlement.batch, settlement.reason);
    report.setAside(settlement);
  }
}
