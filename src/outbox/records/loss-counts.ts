import { parseJson } from './outbox-schema.ts';

/** Records lost by one uplink, or by any uplink if `uplink` is undefined. */
export type LossCount = {
  readonly uplink?: string | undefined;
  readonly kind: string;
  readonly reason: string;
  readonly count: number;
};

/**
 * Counts the losses of one life of the agent, for the metrics. The counts are in the file, in the transaction of the loss: they
 * agree with the loss records even if the worker ends between a commit and its answer. They outlive the file, which may be
 * replaced.
 */
export class LossCounts {
  readonly #life: string;
  #uncommitted: LossCount[] = [];
  #sinceTaken: LossCount[] = [];
  readonly #totals = new Map<string, LossCount>();

  /** @param life Id of this start of the agent. */
  constructor(life: string) {
    this.#life = life;
  }

  /** Continues with what the file has of the same life. @param text Result of `json`, if the file has one. */
  load(text: string | undefined): void {
    if (text === undefined) return;
    const { life, totals } = parseJson(text) as { readonly life: string; readonly totals: readonly LossCount[] };
    if (life !== this.#life) return;
    for (const loss of totals) {
      const known = this.#totals.get(keyOf(loss));
      if (loss.count > (known?.count ?? 0)) this.#totals.set(keyOf(loss), loss);
    }
  }

  add(loss: LossCount): void {
    this.#uncommitted.push(loss);
  }

  /** Returns what the file must have with this commit; undefined if it has no loss. */
  json(): string | undefined {
    if (this.#uncommitted.length === 0) return undefined;
    const totals = new Map(this.#totals);
    addTo(totals, this.#uncommitted);
    return JSON.stringify({ life: this.#life, totals: [...totals.values()] });
  }

  commit(): void {
    addTo(this.#totals, this.#uncommitted);
    this.#sinceTaken.push(...this.#uncommitted);
    this.#uncommitted = [];
  }

  rollback(): void {
    this.#uncommitted = [];
  }

  /** Returns the losses since the last call. */
  take(): readonly LossCount[] {
    return this.#sinceTaken.splice(0);
  }

  /** Returns the losses of this life. */
  get totals(): readonly LossCount[] {
    return [...this.#totals.values()];
  }
}

function addTo(totals: Map<string, LossCount>, losses: readonly LossCount[]): void {
  for (const loss of losses)
    totals.set(keyOf(loss), { ...loss, count: loss.count + (totals.get(keyOf(loss))?.count ?? 0) });
}

function keyOf({ uplink = '', kind, reason }: LossCount): string {
  return `${uplink}/${kind}/${reason}`;
}
