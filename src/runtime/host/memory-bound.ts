import { formatByteSize } from '../../domain/byte-size.ts';
import { formatDuration } from '../../domain/duration.ts';

const RECYCLE_INTERVAL_MS_MIN = 60_000;
/** Models that need more memory than the limit would have their host replaced without end, so it must grow by half first. */
const RECYCLE_GROWTH = 1.5;
/** A host that is too large again within this time needs the memory for its work; a fresh host does not help. */
const NO_EFFECT_MS = 600_000;

/**
 * Decides when a host is so large that a fresh one should take over: above its limit, at most once a minute, and not if
 * its models need more. Their need is measured on fresh hosts, and on hosts that are too large again soon after. A host
 * that leaks is still replaced, about every ten minutes.
 */
export class MemoryBound {
  /** Limit of the configuration. */
  readonly #bytesMax: number;
  readonly #setting: string;
  #residentBytesMax: number;
  /** Memory above the limit that a host needed for its work; 0 if none did. */
  #neededBytes = 0;
  #recycledMs = Number.NEGATIVE_INFINITY;

  /** @param setting Configuration key of `bytesMax`. */
  constructor(bytesMax: number, setting: string) {
    this.#bytesMax = bytesMax;
    this.#setting = setting;
    this.#residentBytesMax = bytesMax;
  }

  /** @param nowMs Monotonic. */
  isPassed(residentBytes: number, nowMs: number): boolean {
    return residentBytes > this.#residentBytesMax && nowMs - this.#recycledMs >= RECYCLE_INTERVAL_MS_MIN;
  }

  /** A fresh host is to take over from one of this size. */
  noteRecycling(residentBytes: number, nowMs: number): void {
    if (nowMs - this.#recycledMs < NO_EFFECT_MS) this.#neededBytes = residentBytes;
    this.#recycledMs = nowMs;
  }

  /** `1.2GB of 1GB`. */
  sizes(residentBytes: number): string {
    return `${formatByteSize(residentBytes)} of ${formatByteSize(this.#bytesMax)}`;
  }

  /**
   * @param residentBytes Resident memory of a fresh host with a new version.
   * @returns Reason for a refusal; undefined if it is accepted. Models that already exceed the limit may need half as much again.
   */
  excess(residentBytes: number): string | undefined {
    if (residentBytes <= this.#residentBytesMax) return undefined;
    return `its host would take ${this.sizes(residentBytes)} (${this.#setting})`;
  }

  /**
   * @param residentBytes Resident memory of a fresh host with every model loaded.
   * @param isOther True if its models or versions differ from those of the previous host.
   * @returns Message for an operator; undefined if the memory is within the limit.
   */
  noteFresh(residentBytes: number, isOther: boolean): string | undefined {
    if (isOther) this.#neededBytes = 0;
    this.#residentBytesMax = Math.max(this.#bytesMax, RECYCLE_GROWTH * Math.max(residentBytes, this.#neededBytes));
    if (residentBytes > this.#bytesMax)
      return `a fresh host takes ${this.sizes(residentBytes)} with its models; raise ${this.#setting}`;
    if (this.#neededBytes > 0)
      return `a host takes ${this.sizes(this.#neededBytes)} within ${formatDuration(NO_EFFECT_MS)} of its start; raise ${this.#setting}`;
    return undefined;
  }
}
