import { randomUUID } from 'node:crypto';
import type { RecordDraft } from '../domain/record/record.ts';
import type { Refusal, RefusalReport } from './file/storage-protocol.ts';

/** Records that were not stored, until the storage worker has them in its ledger of losses. */
export class LossTally {
  readonly #life = randomUUID();
  readonly #refusals = new Map<string, Refusal>();
  #sent: Omit<RefusalReport, 'nowMs'> | undefined;
  #reports = 0;

  /** Records that no report has yet. */
  get records(): number {
    const waiting = [...this.#refusals.values(), ...(this.#sent?.losses ?? [])];
    return waiting.reduce((total, { count }) => total + count, 0);
  }

  /** @param reason Code of the error. */
  add(drafts: readonly RecordDraft[], reason: string): void {
    for (const { kind } of drafts) {
      const key = `${kind}/${reason}`;
      this.#refusals.set(key, { kind, reason, count: (this.#refusals.get(key)?.count ?? 0) + 1 });
    }
  }

  /** Returns the next report; the last one again until `confirm`; undefined if there is nothing to report. */
  report(): Omit<RefusalReport, 'nowMs'> | undefined {
    if (this.#sent === undefined && this.#refusals.size > 0) {
      this.#sent = { life: this.#life, number: (this.#reports += 1), losses: [...this.#refusals.values()] };
      this.#refusals.clear();
    }
    return this.#sent;
  }

  /** The report of this number is on disk. */
  confirm(number: number): void {
    if (this.#sent?.number === number) this.#sent = undefined;
  }
}
