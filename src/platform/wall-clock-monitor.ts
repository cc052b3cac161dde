import { counter, type MetricCatalogue, type Metrics } from './metrics.ts';
import type { SystemClock, Timer } from './clock.ts';
import type { Logger } from './log.ts';

export const wallClockMetrics = {
  andon_wall_clock_jumps_total: counter(
    'Number of times that the system clock was set by 0.5 s or more while the agent ran.',
  ),
} as const satisfies MetricCatalogue;

const CHECK_MS = 1_000;
/** A smaller difference is drift of the two clocks, not a jump. */
const JUMP_MS_MIN = 500;

/**
 * Detects when the system clock is set, adopts the new time and reports it. Scans continue with the monotonic clock,
 * and records keep the order of their sequence. Only windows restart, because their grid is wall time.
 */
export class WallClockMonitor implements Disposable {
  readonly #clock: SystemClock;
  readonly #log: Logger;
  readonly #jumps;
  readonly #onJump: (leadMs: number) => void;
  #timer: Timer | undefined;

  constructor(options: {
    readonly clock: SystemClock;
    readonly log: Logger;
    readonly metrics: Metrics;
    readonly onJump: (leadMs: number) => void;
  }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#jumps = options.metrics.of(wallClockMetrics).andon_wall_clock_jumps_total;
    this.#onJump = options.onJump;
  }

  start(): void {
    this.#timer = this.#clock.setTimer(() => this.#check(), CHECK_MS, { background: true });
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
  }

  #check(): void {
    const leadMs = this.#clock.wallClockLeadMs();
    if (Math.abs(leadMs) >= JUMP_MS_MIN) {
      this.#clock.adoptSystemTime();
      this.#jumps.inc();
      this.#log.warn({ leadMs: Math.round(leadMs) }, 'The system clock was set. Windows restart; scans continue.');
      this.#onJump(leadMs);
    }
    this.start();
  }
}
