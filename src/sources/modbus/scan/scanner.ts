import type { Clock, Timer } from '../../../platform/clock.ts';
import type { ScanQueue } from './scan-queue.ts';
import { ScanSchedule } from './scan-schedule.ts';

/** Pause of a continuous scan class after a scan without any response, so that it does not spin. */
const CONTINUOUS_PAUSE_MS = 100;

/** A scan class as the scanner sees it. */
export type Scannable = { begin(): void };

export type ScannerOptions = {
  /** 0 scans without a pause: the next scan starts one turn of the event loop after the last one ended. */
  readonly scanIntervalMs: number;
  readonly clock: Clock;
  /** Starts the scans of all sources in turn. Undefined starts a scan when it is due. */
  readonly queue?: ScanQueue;
  readonly onMissed: (scans: number) => void;
};

/** Starts the scans of one scan class when they are due; a scan that is due during another one waits for its end. */
export class Scanner {
  readonly #options: ScannerOptions;
  readonly #schedule: ScanSchedule;
  #scanClass: Scannable | undefined;
  #timer: Timer | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #dueMs = Infinity;
  #lastTickMs: number;

  constructor(options: ScannerOptions) {
    this.#options = options;
    this.#schedule = new ScanSchedule(options.scanIntervalMs);
    this.#lastTickMs = options.clock.monotonicMs();
  }

  start(scanClass: Scannable): void {
    this.#scanClass = scanClass;
    this.#wait(0);
  }

  stop(): void {
    this.#scanClass = undefined;
    this.#timer?.cancel();
    clearImmediate(this.#immediate);
  }

  /** Call it at the end of each scan. @param answered False if no read got a response. */
  scanEnded(answered: boolean): void {
    if (this.#scanClass === undefined) return;
    const { scanIntervalMs, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#lastTickMs = nowMs;
    if (scanIntervalMs > 0) this.#wait(this.#schedule.delayMs(nowMs));
    else if (answered) this.#immediate = setImmediate(() => this.#begin());
    else this.#wait(CONTINUOUS_PAUSE_MS);
  }

  /** Monotonic time of the last activity; the present time while the next scan is not due. */
  lastTickMs(): number {
    const nowMs = this.#options.clock.monotonicMs();
    return nowMs <= this.#dueMs && this.#dueMs !== Infinity ? nowMs : this.#lastTickMs;
  }

  #wait(delayMs: number): void {
    const { clock, queue } = this.#options;
    this.#dueMs = clock.monotonicMs() + delayMs;
    const begin = (): void => this.#begin();
    this.#timer = clock.setTimer(() => (queue === undefined ? begin() : queue.add(begin)), delayMs);
  }

  #begin(): void {
    if (this.#scanClass === undefined) return;
    const { scanIntervalMs, clock, onMissed } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#dueMs = Infinity;
    this.#lastTickMs = nowMs;
    if (scanIntervalMs > 0) onMissed(this.#schedule.begin(nowMs));
    this.#scanClass.begin();
  }
}
