import type { Lane } from '../../contracts/record-store.ts';

/** Sequences above `acknowledged` up to `through` are still to be sent; `through` undefined has no end yet. */
export type PendingRange = { readonly acknowledged: number; readonly through: number | undefined };

/** Gaps that a live lane may leave behind itself; past it the live lane stays where it is until the backlog caught up. */
const RANGES_MAX = 64;

/**
 * An uplink's place in the outbox: what is still to be sent, as ranges in order. The last one has no end.
 *
 * With the backlog lane alone there is one range, and its start is the cursor. The live lane splits the last
 * range at the present end of the outbox: what was before is left to the backlog lane. As ranges never overlap,
 * both lanes together send every record once.
 */
export class UplinkCursor {
  #ranges: PendingRange[];
  #live = false;
  #liveReadMs = 0;

  constructor(ranges: readonly PendingRange[]) {
    this.#ranges = ranges.length === 0 ? [{ acknowledged: 0, through: undefined }] : [...ranges];
  }

  get ranges(): readonly PendingRange[] {
    return this.#ranges;
  }

  /** Everything up to here was acknowledged. */
  get acknowledged(): number {
    return this.#ranges[0]?.acknowledged ?? 0;
  }

  /** True while the live lane reads the last range; not stored, so that a restart begins strictly in order. */
  get live(): boolean {
    return this.#live;
  }

  /** The range that a lane reads; undefined where the other lane has all there is. */
  lane(lane: Lane): PendingRange | undefined {
    if (lane === 'live') return this.#ranges.at(-1);
    const first = this.#ranges[0];
    return first?.through === undefined && this.#live ? undefined : first;
  }

  /** The live lane reads at `nowMs`. */
  readLive(nowMs: number): void {
    this.#live = true;
    this.#liveReadMs = nowMs;
  }

  /** Gives the last range back to the backlog lane when nobody reads live any more. */
  endLiveAfter(nowMs: number, silenceMs: number): void {
    if (this.#live && nowMs - this.#liveReadMs > silenceMs) this.#live = false;
  }

  /** Leaves what waits in the last range to the backlog lane; the live lane goes on after `sequence`. */
  splitAt(sequence: number): boolean {
    const last = this.#ranges.at(-1);
    if (last === undefined || this.#ranges.length >= RANGES_MAX || sequence <= last.acknowledged) return false;
    this.#ranges.splice(
      -1,
      1,
      { acknowledged: last.acknowledged, through: sequence },
      { acknowledged: sequence, through: undefined },
    );
    return true;
  }

  /** The range that holds both sequences unacknowledged. */
  rangeOf(first: number, last: number): PendingRange | undefined {
    return this.#ranges.find(
      ({ acknowledged, through }) => first > acknowledged && (through === undefined || last <= through),
    );
  }

  /** Moves the start of a range; one without anything left goes. */
  advance(range: PendingRange, acknowledged: number): void {
    const index = this.#ranges.indexOf(range);
    if (index < 0) return;
    if (range.through !== undefined && acknowledged >= range.through) this.#ranges.splice(index, 1);
    else this.#ranges[index] = { acknowledged, through: range.through };
  }
}
