import type { EpochMs } from '../domain/epoch-ms.ts';
import type { TrialPlan } from '../domain/rollout/rollout-plan.ts';
import type { BreachCause } from '../domain/rollout/rollout-rules.ts';
import type { TallySummary } from '../domain/rollout/rollout-tally.ts';

/** A trial of a watch as people look at it; one that was stopped stays until another begins. */
export type TrialReport = {
  readonly watch: string;
  readonly plan: TrialPlan;
  /** The version that decides now. */
  readonly decides: number;
  readonly summary: TallySummary;
  readonly stopped: StoppedTrial | undefined;
  /** What it means and what to do next. */
  readonly conclusion: string;
};

export type StoppedTrial = { readonly cause: BreachCause; readonly reason: string; readonly timestampMs: EpochMs };

/** A trial that the configuration asks for and that is not held. */
export type TrialObstacle = { readonly watch: string; readonly reason: string };

export interface TrialBoard {
  /** Trials of a model's versions. */
  compare(model: string): { readonly trials: readonly TrialReport[]; readonly obstacles: readonly TrialObstacle[] };
  /** The trial of a watch, the short of it; undefined where none is under way. */
  trialOf(watch: string): TrialOverview | undefined;
}

export type TrialOverview = {
  readonly kind: TrialPlan['kind'];
  readonly candidate: number;
  readonly incumbent: number;
  readonly windows: number;
  /** Share of windows that both judged alike; undefined before the first. */
  readonly agreement: number | undefined;
  /** Why the candidate was stopped; undefined where it was not. */
  readonly stopped: string | undefined;
};
