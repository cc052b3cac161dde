import type { SystemClock, Timer } from './clock.ts';
import type { Logger } from './log.ts';
import type { MetricCatalogue, Metrics } from './metrics.ts';

export const wallClockMetrics = {
  andon_wall_clock_jumps_total: {
    type: 'counter',
    help: "Times that the system's wall clock was set by more than half a second while the agent ran.",
    labels: [],
  },
} as const satisfies MetricCatalogue;

const CHECK_MS = 1_000;
/** A smaller lead is the rounding of two clocks, not somebody setting one. */
const JUMP_MS_MIN = 500;

/**
 * Sees when somebody sets the system's clock, takes the new time over, and tells. Scans go on by the monotonic
 * clock; records keep their order by sequence; only windows must begin anew, as their grid is wall time.
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
      this.#clock.takeWallClock();
      this.#jumps.inc();
      this.#log.warn({ leadMs: Math.round(leadMs) }, 'The wall clock was set; windows begin anew, scans go on.');
      this.#onJump(leadMs);
    }
    this.start();
  }
}
