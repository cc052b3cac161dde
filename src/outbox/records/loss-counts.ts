/** Records lost by one uplink, or by any uplink if `uplink` is undefined. */
export type LossCount = {
  readonly uplink: string | undefined;
  readonly kind: string;
  readonly reason: string;
  readonly count: number;
};

/** Counts losses as they are committed to the file, for the metrics. Outlives the file, which may be closed and reopened. */
export class LossCounts {
  #uncommitted: LossCount[] = [];
  readonly #committed = new Map<string, LossCount>();

  add(loss: LossCount): void {
    this.#uncommitted.push(loss);
  }

  commit(): void {
    for (const loss of this.#uncommitted) {
      const key = `${loss.uplink ?? ''}/${loss.kind}/${loss.reason}`;
      this.#committed.set(key, { ...loss, count: loss.count + (this.#committed.get(key)?.count ?? 0) });
    }
    this.#uncommitted = [];
  }

  rollback(): void {
    this.#uncommitted = [];
  }

  /** Returns the counts since the last call. */
  take(): readonly LossCount[] {
    const taken = [...this.#committed.values()];
    this.#committed.clear();
    return taken;
  }
}
