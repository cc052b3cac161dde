import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { StoreHealth } from '../file/storage-protocol.ts';
import type { LossCount } from './loss-counts.ts';

/** The outbox counts as dropping until this time after the last drop. */
const DROPPING_MS = 60_000;
/** Causes of drops that continue, and what to do. Damage is reported elsewhere. */
const remedies: ReadonlyMap<string, string> = new Map([
  ['outbox-full', 'The outbox reached outbox.maxSize: restore the uplinks or raise it'],
  ['outbox-queue-full', 'The disk accepts fewer records than arrive'],
  ['alarm-queue-full', 'The disk accepts no alarm records'],
]);

/** Degraded while records are dropped. */
export class DropHealth {
  #count = 0;
  #remedy: string | undefined;
  #sinceMs: EpochMs = 0;
  #lastMs = -Infinity;

  add(lost: readonly LossCount[], nowMs: EpochMs): void {
    for (const { uplink, reason, count } of lost) {
      const remedy = remedies.get(reason);
      if (uplink !== undefined || remedy === undefined) continue;
      if (!this.#isDropping(nowMs)) [this.#count, this.#sinceMs] = [0, nowMs];
      this.#count += count;
      this.#remedy = remedy;
      this.#lastMs = nowMs;
    }
  }

  health(nowMs: EpochMs): StoreHealth {
    if (!this.#isDropping(nowMs)) return { status: 'ok', reason: undefined };
    const since = new Date(this.#sinceMs).toISOString().slice(0, 19);
    return {
      status: 'degraded',
      reason: `Records are dropped: ${this.#count} since ${since}Z. ${this.#remedy}`,
    };
  }

  /** The absolute value: the clock may be set back. */
  #isDropping(nowMs: EpochMs): boolean {
    return Math.abs(nowMs - this.#lastMs) < DROPPING_MS;
  }
}
