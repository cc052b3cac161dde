import type { RecordStore } from '../contracts/record-store.ts';
import type { Backoff } from '../platform/backoff.ts';
import type { Clock } from '../platform/clock.ts';
import { InvariantError, OperatingError } from '../platform/errors.ts';
import { Bell } from './bell.ts';
import type { Settlement } from './consignment.ts';
import type { UplinkReport } from './uplink-report.ts';

export type SettlerOptions = {
  readonly uplink: string;
  readonly records: RecordStore;
  readonly report: UplinkReport;
  readonly backoff: Backoff;
  readonly clock: Clock;
};

/**
 * Tells the outbox what became of records: one call at a time, in order, while the next batches are already on
 * their way.
 *
 * Neighbouring acknowledgements are joined, since each costs the outbox a commit. Bounded by the consignment that
 * it settles. A call that fails is repeated until the outbox takes it, or until `stop`; what is then untold is sent
 * again at the next start. What the outbox rejects is given up, after a wait: reading begins at its cursor again.
 */
export class Settler {
  readonly #options: SettlerOptions;
  readonly #stopped: Bell;
  #stopping = false;
  #givenUp = false;
  #queue: Settlement[] = [];
  #working: Promise<void> | undefined;

  constructor(options: SettlerOptions) {
    this.#options = options;
    this.#stopped = new Bell(options.clock);
  }

  push(settlements: readonly Settlement[]): void {
    // The cursor must not move past what was not told, so nothing after it is told either.
    if (this.#givenUp) return;
    this.#queue.push(...settlements);
    if (this.#queue.length > 0) this.#working ??= this.#work();
  }

  /** Resolves once the outbox knows all that was pushed, or it was given up; the next consignment begins anew. */
  async drained(): Promise<void> {
    await this.#working;
    this.#givenUp = false;
  }

  /** What waits is tried once more and then given up. */
  stop(): void {
    this.#stopping = true;
    this.#stopped.ring();
  }

  async #work(): Promise<void> {
    while (this.#queue.length > 0) await this.#settle(this.#takeJoined());
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

  async #settle(settlement: Settlement): Promise<void> {
    const { backoff, report } = this.#options;
    for (;;) {
      try {
        await this.#tell(settlement);
        backoff.reset();
        report.storeWell();
        return;
      } catch (error) {
        if (error instanceof InvariantError) throw error;
        report.storeFailed(error);
        this.#givenUp = this.#stopping || (error instanceof OperatingError && error.disposition === 'reject');
        if (this.#givenUp) this.#queue = [];
        if (!this.#stopping) await this.#stopped.wait(backoff.nextMs());
        if (this.#givenUp) return;
      }
    }
  }

  async #tell(settlement: Settlement): Promise<void> {
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
