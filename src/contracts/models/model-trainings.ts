import type { MarkedComparison } from './marked-comparison.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';

export type TrainingRequest = {
  readonly watch: string;
  /** Begin of the history that is used; undefined for the first sample. */
  readonly fromMs: EpochMs | undefined;
  /** Undefined for the last sample. */
  readonly toMs: EpochMs | undefined;
  /** True to train on fewer rows than the algorithm advises. */
  readonly force: boolean;
};

/**
 * - reading: rows are read from the history
 * - fitting: the model is fitted on all rows
 * - trying out: a second fit is tested on held-out rows
 * - proving: the runtime loads the version and checks its golden vectors
 */
type TrainingStage = 'reading' | 'fitting' | 'trying out' | 'proving';

export type TrainingProgress = {
  readonly stage: TrainingStage;
  /** Rows that were read, or the share of the stage that is done, 0 to 1; undefined if it is not known. */
  readonly done: number | undefined;
};

export type TrainingStatus = {
  /** Counts from 1 since the start of the agent. */
  readonly id: number;
  readonly watch: string;
  readonly model: string;
  readonly by: string;
  readonly state: 'waiting' | 'running' | 'trained' | 'failed' | 'cancelled';
  readonly progress: TrainingProgress | undefined;
  readonly startedMs: EpochMs;
  readonly endedMs: EpochMs | undefined;
  /** The version that was written; undefined unless 'trained'. */
  readonly version: number | undefined;
  readonly warnings: readonly string[];
  readonly metrics: Readonly<Record<string, number>>;
  /** The present and the new version on the periods that people marked; undefined if there are none. */
  readonly comparison?: MarkedComparison | undefined;
  /** Why it failed. */
  readonly reason: string | undefined;
};

/** Trainings of the models of watches from the history, one at a time. */
export interface ModelTrainings {
  /**
   * Starts a training and returns immediately.
   *
   * @throws {OperatingError} 'training-watch-unknown', 'training-busy' (reject).
   */
  start(request: TrainingRequest, actor: string): TrainingStatus;
  /** The latest trainings since the start of the agent, the newest first. */
  list(): readonly TrainingStatus[];
  /** @throws {OperatingError} 'training-unknown' (reject) if it is not running or waiting. */
  cancel(id: number): TrainingStatus;
}
