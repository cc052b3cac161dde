import type { EpochMs } from '../domain/epoch-ms.ts';
import type { RolloutPlan } from '../domain/rollout/rollout-plan.ts';
import type { BreachCause } from '../domain/rollout/rollout-rules.ts';
import type { TallySummary } from '../domain/rollout/rollout-tally.ts';

/** A rollout of a watch as people look at it; one that was stopped stays until another begins. */
export type RolloutReport = {
  readonly watch: string;
  readonly plan: RolloutPlan;
  readonly decides: number;
  readonly summary: TallySummary;
  readonly stopped: StoppedRollout | undefined;
  /** Meaning of the result and the next step. */
  readonly conclusion: string;
};

export type StoppedRollout = { readonly cause: BreachCause; readonly reason: string; readonly timestampMs: EpochMs };

/** A configured rollout that does not run, with the reason. */
export type RolloutObstacle = { readonly watch: string; readonly reason: string };

export interface RolloutStatuses {
  /** Rollouts of a model's versions. */
  compare(model: string): {
    readonly rollouts: readonly RolloutReport[];
    readonly obstacles: readonly RolloutObstacle[];
  };
  /** Returns a summary of the watch's rollout; undefined if none is running. */
  rolloutOf(watch: string): RolloutOverview | undefined;
}

export type RolloutOverview = {
  readonly kind: RolloutPlan['kind'];
  readonly candidate: number;
  readonly incumbent: number;
  readonly windows: number;
  /** Share of windows that both judged alike; undefined before the first. */
  readonly agreement: number | undefined;
  /** Reason why the candidate was stopped; undefined if it was not. */
  readonly stopped: string | undefined;
};
