import type { ModelReference } from '../domain/model/model-reference.ts';
import type { ModelStanding } from '../domain/rollout/rollout-plan.ts';
import type { TallyState } from '../domain/rollout/rollout-tally.ts';
import type { InferenceHost } from './inference.ts';

/** What is needed of a host to judge windows with it. */
export type WindowModels = Pick<InferenceHost, 'ready' | 'statuses' | 'run'>;

/** Versions under rollout, each in a process of its own: what one does there, no watch's own model feels. */
export interface RolloutModels extends WindowModels {
  /** Loads those that are wanted and lets go of the others. Returns at once. */
  want(models: readonly ModelReference[]): void;
  /** Longest that a run of the model may take. */
  deadlineMs(model: ModelReference): number;
}

/** What rollouts know of the model directory, and what they write into it. */
export interface VersionLedger {
  /** @throws {OperatingError} Where the directory cannot be read. */
  standing(name: string): Promise<ModelStanding>;
  /** Remembers that a version was found bad. */
  reject(name: string, version: number, reason: string): Promise<void>;
  /**
   * Makes the version before the active one again.
   *
   * @param from The version to leave; where another is active by now, nothing happens.
   * @throws {OperatingError} 'model-rollback-refused' where the version is pinned, or there is none to go back to.
   */
  rollback(name: string, from: number, reason: string): Promise<void>;
}

/** Where what was counted is kept across a restart. */
export interface RolloutJournal {
  /** By rollout; empty where there is nothing, or nothing that can be read. */
  read(): Promise<ReadonlyMap<string, TallyState>>;
  /** Replaces all of it. Losing it costs figures and no verdict, so that it never throws. */
  write(tallies: ReadonlyMap<string, TallyState>): Promise<void>;
}
