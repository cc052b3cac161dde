import { isDeepStrictEqual } from 'node:util';
import type { LearningStatuses } from '../contracts/learning-statuses.ts';
import type { LiveEvents } from '../contracts/live-events.ts';
import type { WatchConditions, WatchSummaries, WatchSummary } from '../contracts/watch-summaries.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';

const LOOK_MS = 1_000;

export type WatchStateMonitorOptions = {
  readonly board: WatchConditions;
  readonly learning: LearningStatuses;
  /** Time without a verdict after which a watch is blind, ms. */
  readonly blindAfterMs: () => number;
  readonly events: LiveEvents;
  readonly deps: Deps;
};

/** Joins the states of watches and their learning, and announces each change to live subscribers within a second. */
export class WatchStateMonitor implements WatchSummaries, Disposable {
  readonly #options: WatchStateMonitorOptions;
  readonly #announced = new Map<string, WatchSummary>();
  #timer: Timer | undefined;

  constructor(options: WatchStateMonitorOptions) {
    this.#options = options;
  }

  start(): void {
    const summaries = this.summaries();
    for (const summary of summaries) this.#announce(summary);
    // A watch that a reload removed and that returns is announced again.
    const present = new Set(summaries.map(({ watch }) => watch));
    for (const watch of this.#announced.keys()) if (!present.has(watch)) this.#announced.delete(watch);
    this.#timer = this.#options.deps.clock.setTimer(() => this.start(), LOOK_MS, { background: true });
  }

  summaries(): readonly WatchSummary[] {
    const { board, learning, blindAfterMs } = this.#options;
    return board
      .conditions(blindAfterMs())
      .map((condition) => ({ ...condition, learning: learning.learningOf(condition.watch) }));
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
  }

  #announce(summary: WatchSummary): void {
    const before = this.#announced.get(summary.watch);
    // The time of the last window changes with each verdict, which is an event of its own.
    if (before !== undefined && isDeepStrictEqual({ ...before, judgedMs: summary.judgedMs }, summary)) return;
    this.#announced.set(summary.watch, summary);
    this.#options.events.emit({ type: 'watch', summary });
  }
}
