import type { Unstored } from '../contracts/record-store.ts';
import { Refusals } from './file/refusals.ts';
import type { RefusalReport } from './file/storage-protocol.ts';

type Report = Omit<RefusalReport, 'nowMs'>;

/** Records that were not stored, until the storage worker has them in its ledger of losses. */
export class LossTally {
  readonly #life: string;
  readonly #refusals = new Refusals();
  #sent: Report | undefined;
  #reports = 0;

  /** @param life Id of this start of the agent. */
  constructor(life: string) {
    this.#life = life;
  }

  /** @param reason Code of the error. */
  add(losses: readonly Unstored[], reason: string): void {
    this.#refusals.add(losses, reason);
  }

  /** Returns the next report; the last one again until `confirm`; undefined if there is nothing to report. */
  report(): Report | undefined {
    if (this.#sent === undefined && !this.#refusals.isEmpty) {
      this.#sent = { life: this.#life, number: (this.#reports += 1), losses: this.#refusals.take() };
    }
    return this.#sent;
  }

  /** The report of this number is on disk. */
  confirm(number: number): void {
    if (this.#sent?.number === number) this.#sent = undefined;
  }
}
