import type { ModelManifest } from '../../contracts/model-manifest.ts';
import type { VerdictRule } from '../../domain/alarm/verdict-rule.ts';
import type { Imputation } from '../../domain/model/imputation.ts';
import type { RowSpan } from './training-blocks.ts';
import type { TrainingRows } from './training-rows.ts';

export type TrainingTask = ModelManifest['task'];

/** Input of a fit. The caller has checked that every value is finite and that there are at least `rowsMin` rows. */
export type TrainingInput = {
  readonly task: TrainingTask;
  /** Runs without a gap, in order of time; no window crosses from one to the next. For anomalies: normal running. */
  readonly segments: readonly TrainingRows[];
  /**
   * One array for each segment, one number for each row: the measured quality of a regression, the class of a
   * classification as an index into `classes`. NaN is a row without a label. Undefined for anomalies.
   */
  readonly targets: readonly Float64Array[] | undefined;
  /** Anomalies: rows that a person marked as normal, counted run after run, in order. Default: none. */
  readonly normal?: readonly RowSpan[] | undefined;
  /** Names of the classes, the normal one first; empty unless it is a classification. */
  readonly classes: readonly string[];
  /** Rows of the window, the judged row included; if undefined, the algorithm chooses. */
  readonly windowRows: number | undefined;
  /** Random seed: the same input and seed give the same bytes. */
  readonly seed: number;
  /** Receives the share that is done, 0–1. */
  readonly onProgress: (share: number) => void;
};

/**
 * Result of a fit, before its assessment. Assessment, alarm limits, golden vectors and `model.yaml` are the same code for
 * all algorithms (train-model.ts): no algorithm measures itself.
 */
export type FittedModel = {
  /** Rows of the window, the judged row included: `window.steps` of the manifest. */
  readonly windowRows: number;
  /**
   * Returns the ONNX graph from raw rows to the score: input `window`, float32 [batch, windowRows, tags]; output `score`,
   * float32 [batch]; if `explain` is defined, output `contributions`, float32 [batch, tags], shares of 0–1 with the sum 1
   * (or all 0). The same bytes at every call.
   *
   * A classification may add `probabilities`, float32 [batch, classes].
   */
  readonly graph: () => Uint8Array;
  /**
   * Reference arithmetic in doubles, which the graph is compared with. Judges every row with a full window: result i
   * belongs to row windowRows − 1 + i.
   */
  readonly judge: (rows: TrainingRows) => Judged;
  /** Share of each tag in the score of one window (windowRows rows), as the graph's `contributions`; undefined if the model has no explanation. */
  readonly explain: ((window: TrainingRows) => Float64Array) | undefined;
  /** End of an abnormal period, if the fit knows it better than the default of the task. */
  readonly decision?: Pick<VerdictRule, 'deadband' | 'relativeEnd'>;
  /** How missing tags are estimated; undefined if the graph does not give the parts that this needs. */
  readonly imputation?: Imputation | undefined;
  /** Rows of the input that were not used because they are unlike the others, counted run after run. */
  readonly leftOut?: readonly RowSpan[];
  /** Parameters chosen by the fit (depth, penalty, rounds), for `training:` in model.yaml and the report. */
  readonly details: Readonly<Record<string, unknown>>;
  /** Reasons for an operator to distrust the fit; empty if there are none. */
  readonly warnings: readonly string[];
};

export type Judged = {
  /**
   * - anomaly: distance from normal running divided by its limit; 1 is the limit;
   * - regression: the predicted quality in its own unit;
   * - classification: calibrated probability, 0–1, that the class is not the normal one.
   */
  readonly scores: Float64Array;
  /** Classification only: calibrated probabilities, shape [scores, classes], row-major. */
  readonly probabilities?: Float64Array;
};

/** A training algorithm: one file, and one line in algorithms.ts. */
export type TrainingAlgorithm = {
  /** Name in `andon train --algorithm NAME` and in `training.algorithm` of model.yaml. */
  readonly name: string;
  /** One line for `--help` and the docs: the strength of the algorithm. */
  readonly description: string;
  /** Supported tasks. The default algorithm of a task is the first one in the list that supports it. */
  readonly tasks: readonly TrainingTask[];
  /** Minimum number of rows for a fit. */
  readonly rowsMin: number;
  /** Number of rows below which a fit must be asked for with `--force`; default: `rowsMin`. */
  readonly rowsAdvised?: number;
  /**
   * Uses neither the clock nor its own random numbers. Parameters (penalty, depth, rounds, calibration) are validated on the
   * last rows of the input; the input never contains the rows of the assessment.
   *
   * @throws {OperatingError} 'training-…' (reject), with the numbers.
   */
  readonly fit: (input: TrainingInput) => Promise<FittedModel>;
};
