import type { Unstored } from '../../contracts/record-store.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';

/** Records of one kind that were not stored, and so have no ids. */
export type Refusal = {
  readonly kind: Unstored['kind'];
  /** Code of the error. */
  readonly reason: string;
  readonly count: number;
  /** Times of the first and the last record. */
  readonly fromMs: EpochMs;
  readonly toMs: EpochMs;
  /** Number of records of each watch, empty for records of samples; number of samples of each source for the history. */
  readonly watches: Readonly<Record<string, number>>;
};

/** Groups refused records by kind and reason. */
export class Refusals {
  readonly #byKey = new Map<string, Refusal>();

  get isEmpty(): boolean {
    return this.#byKey.size === 0;
  }

  add(losses: Iterable<Unstored>, reason: string): void {
    for (const { kind, timestampMs: fromMs, watch, count = 1, toMs = fromMs } of losses)
      this.#merge({ kind, reason, count, fromMs, toMs, watches: watch === undefined ? {} : { [watch]: count } });
  }

  /** Returns the refusals, and begins again. */
  take(): readonly Refusal[] {
    const taken = [...this.#byKey.values()];
    this.#byKey.clear();
    return taken;
  }

  #merge(refusal: Refusal): void {
    const key = `${refusal.kind}/${refusal.reason}`;
    const before = this.#byKey.get(key);
    this.#byKey.set(
      key,
      before === undefined
        ? refusal
        : {
            ...refusal,
            count: before.count + refusal.count,
            fromMs: Math.min(before.fromMs, refusal.fromMs),
            toMs: Math.max(before.toMs, refusal.toMs),
            watches: addedCounts(before.watches, refusal.watches),
          },
    );
  }
}

/** Adds counts by name. */
export function addedCounts(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const sum = { ...a };
  for (const [name, count] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}
