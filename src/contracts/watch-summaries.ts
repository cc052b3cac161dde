import type { WatchCondition } from '../domain/alarm/watch-state.ts';
import type { LearningOverview } from './learning-statuses.ts';

/** State of a watch for people, and how far it is in learning a model. */
export type WatchSummary = WatchCondition & {
  readonly watch: string;
  /** Undefined if the watch has a model and trains no other. */
  readonly learning: LearningOverview | undefined;
};

/** The present state of every watch. */
export interface WatchSummaries {
  summaries(): readonly WatchSummary[];
}

export interface WatchConditions {
  /**
   * Returns the state of each watch now, in the order of the configuration.
   *
   * @param blindAfterMs Time without a verdict after which a watch is blind, ms.
   */
  conditions(blindAfterMs: number): readonly (WatchCondition & { readonly watch: string })[];
}
