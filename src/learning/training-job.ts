import type { MarkedComparison } from '../contracts/models/marked-comparison.ts';
import type { Tag } from '../domain/sample/tag.ts';
import type { TrainingProgress } from '../contracts/models/model-trainings.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';

/** One training of a watch's model from the history, as sent to the training process. */
export type TrainingJob = {
  readonly watch: string;
  readonly config: WatchConfig;
  /** In the order of the watch, numbered from 0. */
  readonly tags: readonly Tag[];
  readonly models: ModelsConfig;
  /** `outbox.path`; the history is in the same folder. */
  readonly outboxPath: string;
  /** Undefined for the first and the last sample. */
  readonly fromMs: EpochMs | undefined;
  readonly toMs: EpochMs | undefined;
  /** True to train on fewer rows than the algorithm advises. */
  readonly force: boolean;
};

/** A new version in the model directory, proved with its golden vectors. Nothing is activated. */
export type TrainedVersion = {
  readonly version: number;
  /** Reasons to distrust the model. */
  readonly warnings: readonly string[];
  /** Figures on held-out rows, as in model.yaml. */
  readonly metrics: Readonly<Record<string, number>>;
  /** On the periods that people marked; undefined if there are none. */
  readonly comparison?: MarkedComparison | undefined;
};

/** The last message of the training process. */
export type TrainingOutcome =
  | { readonly trained: TrainedVersion }
  | { readonly failure: { readonly code: string; readonly reason: string } };

/** A message of the training process. */
export type TrainingMessage = TrainingOutcome | { readonly progress: TrainingProgress };
