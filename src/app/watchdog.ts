import { counter, gauge, type MetricCatalogue } from '../platform/metrics.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import type { ServiceManager } from '../platform/systemd-notify.ts';

export const watchdogMetrics = {
  andon_watchdog_feeds_total: counter(
    'Checks in which every part was alive. Each is sent to systemd if it requests watchdog notifications.',
  ),
  andon_watchdog_withheld_total: counter(
    'Checks in which a part was not alive, so that no notification was sent to systemd.',
    ['part'],
  ),
  andon_event_loop_delay_seconds: gauge('How late the main thread came to its last watchdog timer.'),
} as const satisfies MetricCatalogue;

/** Something that must keep moving for the agent to count as alive. */
type WatchedPart = {
  readonly name: string;
  /** Monotonic time of its last sign of life. */
  readonly lastTickMs: () => number;
};

/** Interval of the checks without a service manager. */
const CHECK_MS_DEFAULT = 5_000;

/**
 * Feeds systemd's watchdog only while the main loop turns (this timer), commits happen, sources tick and children
 * answer. A part that stands still for a whole watchdog period starves it, and systemd restarts the agent.
 */
export class Watchdog implements Disposable {
  readonly #parts: () => readonly WatchedPart[];
  readonly #manager: ServiceManager;
  readonly #deps: Deps;
  readonly #metrics;
  readonly #checkMs: number;
  readonly #stillMsMax: number;
  #timer: Timer | undefined;
  #dueMs = 0;

  /** @param parts Called at each check. */
  constructor(parts: () => readonly WatchedPart[], manager: ServiceManager, deps: Deps) {
    this.#parts = parts;
    this.#manager = manager;
    this.#deps = deps;
    this.#metrics = deps.metrics.of(watchdogMetrics);
    // Three looks a period, so that one late timer does not cost the service its life.
    this.#checkMs = manager.watchdogMs === undefined ? CHECK_MS_DEFAULT : manager.watchdogMs / 3;
    this.#stillMsMax = this.#checkMs * 3;
  }

  start(): void {
    this.#dueMs = this.#deps.clock.monotonicMs() + this.#checkMs;
    this.#timer = this.#deps.clock.setTimer(() => this.#check(), this.#checkMs);
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
  }

  #check(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    this.#metrics.andon_event_loop_delay_seconds.set((nowMs - this.#dueMs) / 1000);
    const still = this.#parts().filter((part) => nowMs - part.lastTickMs() > this.#stillMsMax);
    if (still.length === 0) {
      this.#metrics.andon_watchdog_feeds_total.inc();
      this.#manager.notify('WATCHDOG=1');
    }
    for (const { name, lastTickMs } of still) {
      this.#metrics.andon_watchdog_withheld_total.inc({ part: name });
      this.#deps.log.error(
        { part: name, stillMs: Math.round(nowMs - lastTickMs()) },
        'A part stands still; the watchdog is not fed.',
      );
    }
    this.start();
  }
}

type Ticking = Pick<WatchedPart, 'lastTickMs'>;

/** Returns the parts that the watchdog monitors. */
export function monitored(
  outbox: Ticking,
  inference: Ticking,
  sources: readonly (readonly [id: string, source: Ticking])[],
): readonly WatchedPart[] {
  return [
    { name: 'outbox', lastTickMs: () => outbox.lastTickMs() },
    { name: 'inference', lastTickMs: () => inference.lastTickMs() },
    ...sources.map(([id, source]) => ({ name: `source/${id}`, lastTickMs: () => source.lastTickMs() })),
  ];
}
