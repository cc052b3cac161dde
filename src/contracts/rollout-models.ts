import type { ModelReference } from '../domain/model/model-reference.ts';
import type { ModelStanding } from '../domain/rollout/rollout-plan.ts';
import type { TallyState } from '../domain/rollout/rollout-tally.ts';
import type { WindowModels } from './window-models.ts';

/** Versions under rollout, each in its own process, so that they cannot affect the watches' models. */
export interface RolloutModels extends WindowModels {
  /** Loads the given models and unloads all others. Returns immediately. */
  want(models: readonly ModelReference[]): void;
  deadlineMs(model: ModelReference): number;
}

/** The rollouts' view of the model directory: reads and changes. */
export interface VersionLedger {
  /** @throws {OperatingError} if the directory cannot be read. */
  standing(name: string): Promise<ModelStanding>;
  /** Remembers that a version was found bad. */
  reject(name: string, version: number, reason: string): Promise<void>;
  /**
   * Activates the previous version.
   *
   * @param from The version to leave; if another version is active, nothing happens.
   * @throws {OperatingError} 'model-rollback-refused' if the version is pinned or has no previous version.
   */
  rollback(name: string, from: number, reason: string): Promise<void>;
}

/** Keeps the counts of the rollouts across a restart. */
export interface RolloutJournal {
  /** Returns the tallies by rollout; empty if there are none or the file is not readable. */
  read(): Promise<ReadonlyMap<string, TallyState>>;
  /** Replaces all of it. Losing it costs figures and no verdict, so that it never throws. */
  write(tallies: ReadonlyMap<string, TallyState>): Promise<void>;
}
