import type { Lane } from '../../contracts/record-store.ts';

/** Sequences above `acknowledged` up to `through` wait to be sent. Without `through`, the range has no end. */
export type PendingRange = { readonly acknowledged: number; readonly through: number | undefined };

/** Limit of ranges that the live lane may leave to the backlog lane. At the limit, it leaves no further one. */
const RANGES_MAX = 64;

/**
 * Position of an uplink in the outbox: the ranges of sequences that wait to be sent, in order. The last has no end.
 *
 * With the backlog lane alone there is one range, and its start is the cursor. The live lane splits the last range at
 * the current end of the outbox and leaves the older part to the backlog lane. Ranges never overlap, so both lanes
 * together send every record once.
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

  restore(ranges: readonly PendingRange[]): void {
    this.#ranges = [...ranges];
  }

  /** Every sequence up to this one was acknowledged. */
  get acknowledged(): number {
    return this.#ranges[0]?.acknowledged ?? 0;
  }

  /** True while the live lane reads the last range. Not stored, so that a restart begins strictly in order. */
  get live(): boolean {
    return this.#live;
  }

  /** Returns the range that a lane reads; undefined if the other lane has the only one. */
  lane(lane: Lane): PendingRange | undefined {
    if (lane === 'live') return this.#ranges.at(-1);
    const first = this.#ranges[0];
    return first?.through === undefined && this.#live ? undefined : first;
  }

  /** Records a read of the live lane. */
  readLive(nowMs: number): void {
    this.#live = true;
    this.#liveReadMs = nowMs;
  }

  /** Returns the last range to the backlog lane after `silenceMs` without a live read. */
  endLiveAfter(nowMs: number, silenceMs: number): void {
    if (this.#live && nowMs - this.#liveReadMs > silenceMs) this.#live = false;
  }

  /** Leaves the last range up to `sequence` to the backlog lane. The live lane continues after it. */
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

  /** Returns the range that contains both sequences. */
  rangeOf(first: number, last: number): PendingRange | undefined {
    return this.#ranges.find(
      ({ acknowledged, through }) => first > acknowledged && (through === undefined || last <= through),
    );
  }

  /** Moves the start of a range. Removes the range if it is empty then. */
  advance(range: PendingRange, acknowledged: number): void {
    const index = this.#ranges.indexOf(range);
    if (index < 0) return;
    if (range.through !== undefined && acknowledged >= range.through) this.#ranges.splice(index, 1);
    else this.#ranges[index] = { acknowledged, through: range.through };
  }
}
