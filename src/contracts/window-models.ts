import type { JudgedBy } from '../domain/alarm/verdict.ts';
import { formatModelReference, type ModelReference } from '../domain/model/model-reference.ts';
import type { DueWindow } from '../domain/window/window-plan.ts';
import type { ModelStatus, ReadyModel } from './inference.ts';
import type { ModelManifest } from './model-manifest.ts';

/** A due window that waits for its verdict. */
export type WindowJob = {
  readonly watch: string;
  /** Identifies the window among those of its watch. */
  readonly number: number;
  readonly window: DueWindow;
  /** Shape of the window's values. */
  readonly steps: number;
  readonly columns: number;
  /** Monotonic time at which it fell due. */
  readonly dueMs: number;
  /** An abnormal window is explained by occlusion, which takes one more run, if the model does not explain it. */
  readonly explained: boolean;
};

export type Judged = {
  readonly outcome: 'judged';
  readonly job: WindowJob;
  readonly score: number;
  /** Contribution of each tag: from the model, or from hiding the tag; undefined if neither is known. */
  readonly parts: readonly number[] | undefined;
  /** Columns that the model estimated; undefined if none. */
  readonly imputed?: readonly number[];
  /** Factor of the threshold for this window, 1 or more; default 1. */
  readonly widening?: number;
  readonly manifest: ModelManifest;
  readonly judgedBy: JudgedBy;
};

export type Judgement =
  | Judged
  | {
      /** 'unfit': values are missing; 'superseded': a newer window replaced it. */
      readonly outcome: 'unfit' | 'superseded';
      readonly job: WindowJob;
      readonly reason: string | undefined;
    }
  | {
      /** The model or its host failed. */
      readonly outcome: 'failed';
      readonly job: WindowJob;
      readonly reason: string;
      /** Code of the error. */
      readonly code: string;
    };

/** Receives each due window exactly once, those of a watch and model in order of time. Must not throw. */
export type JudgedListener = (judgements: readonly Judgement[]) => void;

/** Models that judge windows. */
export interface WindowModels {
  /**
   * Returns the model if it can judge now, or while its host is being replaced after a crash, within its deadline: then
   * windows wait for the next host. Undefined while it loads for the first time, failed or quarantined.
   */
  ready(model: ModelReference): ReadyModel | undefined;
  /** One for each model and copy: those of the watches first. */
  statuses(): readonly ModelStatus[];
  /**
   * Adds a due window. Windows that fall due in the same turn of the event loop share one run per model.
   *
   * Each model has at most one batch that waits or runs, and one that collects windows. Windows of a later turn replace
   * windows of their watch that are still being collected; these are 'superseded'. Every window gets a judgement.
   */
  judge(model: ModelReference, job: WindowJob): void;
  /** Sets the only receiver of judgements. */
  onJudged(listener: JudgedListener): void;
  /** Resolves when every window is judged. */
  settle(): Promise<void>;
}

/** Reason of the unknown verdicts of a watch that has no model yet. */
export const LEARNING = 'learning';

/** Returns why a model cannot judge, for an operator. */
export function notReadyReason(models: Pick<WindowModels, 'statuses'>, model: ModelReference): string {
  const status = models
    .statuses()
    .find(({ name, version }) => name === model.name && (model.version === undefined || version === model.version));
  return notReadyText(formatModelReference(model), status);
}

/** @param label Name of the model in its watch. */
export function notReadyText(label: string, status: ModelStatus | undefined): string {
  if (status?.state === 'absent') return LEARNING;
  const why =
    status === undefined
      ? 'not loaded'
      : [status.state, ...(status.reason === undefined ? [] : [status.reason])].join(', ');
  return `model ${label} is not ready: ${why}`;
}
