import { isDeepStrictEqual } from 'node:util';
import type { LearningStatuses } from '../contracts/learning-statuses.ts';
import type { LiveEvents } from '../contracts/live-events.ts';
import type { WatchConditions, WatchSummaries, WatchSummary } from '../contracts/watch-summaries.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';

const LOOK_MS = 1_000;

/** Joins the states of watches and their learning, and announces each change to live subscribers within a second. */
export class WatchStateMonitor implements WatchSummaries, Disposable {
  readonly #board: WatchConditions;
  readonly #learning: LearningStatuses;
  readonly #events: LiveEvents;
  readonly #deps: Deps;
  readonly #announced = new Map<string, WatchSummary>();
  #timer: Timer | undefined;

  constructor(board: WatchConditions, learning: LearningStatuses, events: LiveEvents, deps: Deps) {
    this.#board = board;
    this.#learning = learning;
    this.#events = events;
    this.#deps = deps;
  }

  start(): void {
    for (const summary of this.summaries()) this.#announce(summary);
    this.#timer = this.#deps.clock.setTimer(() => this.start(), LOOK_MS, { background: true });
  }

  summaries(): readonly WatchSummary[] {
    return this.#board
      .conditions()
      .map((condition) => ({ ...condition, learning: this.#learning.learningOf(condition.watch) }));
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
  }

  #announce(summary: WatchSummary): void {
    const before = this.#announced.get(summary.watch);
    // The time of the last window changes with each verdict, which is an event of its own.
    if (before !== undefined && isDeepStrictEqual({ ...before, judgedMs: summary.judgedMs }, summary)) return;
    this.#announced.set(summary.watch, summary);
    this.#events.emit({ type: 'watch', summary });
  }
}
