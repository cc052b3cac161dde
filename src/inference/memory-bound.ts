import { formatByteSize } from '../domain/byte-size.ts';

const RECYCLE_INTERVAL_MS_MIN = 60_000;
/** Models that need more memory than they may would have their host replaced without end: it must grow by half first. */
const RECYCLE_GROWTH = 1.5;

/** When a host has grown so large that a fresh one should take over. */
export class MemoryBound {
  /** What the configuration allows. */
  readonly #bytesMax: number;
  readonly #setting: string;
  #residentBytesMax: number;
  #recycledMs = Number.NEGATIVE_INFINITY;

  /** @param setting Key of the configuration that says `bytesMax`. */
  constructor(bytesMax: number, setting: string) {
    this.#bytesMax = bytesMax;
    this.#setting = setting;
    this.#residentBytesMax = bytesMax;
  }

  /** @param nowMs Monotonic. */
  isPassed(residentBytes: number, nowMs: number): boolean {
    return residentBytes > this.#residentBytesMax && nowMs - this.#recycledMs >= RECYCLE_INTERVAL_MS_MIN;
  }

  noteRecycling(nowMs: number): void {
    this.#recycledMs = nowMs;
  }

  /** `1.2GB of 1GB`. */
  sizes(residentBytes: number): string {
    return `${formatByteSize(residentBytes)} of ${formatByteSize(this.#bytesMax)}`;
  }

  /**
   * @param residentBytes What a fresh host takes up with a new version in it.
   * @returns Why it may not; '' where it may. Where the models need more than they may already, they may need half as
   *   much again.
   */
  excess(residentBytes: number): string {
    if (residentBytes <= this.#residentBytesMax) return '';
    return `its host would take ${this.sizes(residentBytes)} (${this.#setting})`;
  }

  /**
   * @param residentBytes What a fresh host takes up with every model loaded.
   * @returns What an operator should know; '' where that is within bounds.
   */
  noteFresh(residentBytes: number): string {
    this.#residentBytesMax = Math.max(this.#bytesMax, residentBytes * RECYCLE_GROWTH);
    if (residentBytes <= this.#bytesMax) return '';
    return `a fresh host takes ${this.sizes(residentBytes)} with its models; raise ${this.#setting}`;
  }
}
