import type { ModelManifest } from '../../contracts/model-manifest.ts';
import type { TrainingRows } from './training-rows.ts';

export type TrainingTask = ModelManifest['task'];

/** What an algorithm is fitted on. Checked before: every value is finite, and there are rows enough for `rowsMin`. */
export type TrainingInput = {
  readonly task: TrainingTask;
  /** Runs without a gap, in order of time; nothing may look from one into the next. For anomalies: normal running. */
  readonly segments: readonly TrainingRows[];
  /**
   * One array for each segment, one number for each row: the measured quality of a regression, the class of a
   * classification as an index into `classes`. NaN is a row that nobody labelled. Undefined for anomalies.
   */
  readonly targets: readonly Float64Array[] | undefined;
  /** Names of the classes, the normal one first; empty but for a classification. */
  readonly classes: readonly string[];
  /** Rows that a judgement may look back on; undefined leaves it to the algorithm. */
  readonly windowRows: number | undefined;
  /** Seed of whatever chance the algorithm uses: the same input and seed give the same bytes. */
  readonly seed: number;
  /** Takes the share that is done, 0–1, as often as the algorithm likes. */
  readonly onProgress: (share: number) => void;
};

/**
 * A fit, before anyone has said how good it is. Assessment, limits of the alarm, golden vectors and `model.yaml` are
 * the same for all algorithms (train-model.ts): none of them measures itself.
 */
export type FittedModel = {
  /** Rows that a judgement looks back on, the judged one included: `window.steps` of the manifest. */
  readonly windowRows: number;
  /**
   * From raw rows to the score, as the contract of model.yaml has it: input `window`, float32 [batch, windowRows, tags];
   * output `score`, float32 [batch]; where there is an `explain`, output `contributions`, float32 [batch, tags], shares
   * of 0–1 that add up to 1 (or are all 0). Same bytes at every call.
   *
   * A classification may give `probabilities`, float32 [batch, classes], besides.
   */
  readonly graph: () => Uint8Array;
  /**
   * The fit's own arithmetic, in doubles, which the graph is held to. Judges every row with a full window: result i is
   * that of row windowRows − 1 + i.
   */
  readonly judge: (rows: TrainingRows) => Judged;
  /** Share of each tag in the score of one window (windowRows rows), as the graph's `contributions`; undefined where it explains nothing. */
  readonly explain: ((window: TrainingRows) => Float64Array) | undefined;
  /** What was chosen while fitting, for `training:` in model.yaml and the report: depth, penalty, rounds. */
  readonly details: Readonly<Record<string, unknown>>;
  /** For an operator: what speaks against trusting the fit; empty where nothing does. */
  readonly warnings: readonly string[];
};

export type Judged = {
  /**
   * - anomaly: distance from normal running over its limit, so that 1 is the limit itself;
   * - regression: the predicted quality in its own unit;
   * - classification: calibrated probability, 0–1, that the class is not the normal one.
   */
  readonly scores: Float64Array;
  /** Classification only: calibrated probabilities, shape [scores, classes], row-major. */
  readonly probabilities?: Float64Array;
};

/** One way to learn; each is one file, and one line in algorithms.ts. */
export type TrainingAlgorithm = {
  /** As in `andon train --algorithm NAME` and `training.algorithm` of model.yaml. */
  readonly name: string;
  /** One line for `--help` and the docs: what it is good at. */
  readonly description: string;
  /** The first of the list that has a task is its default. */
  readonly tasks: readonly TrainingTask[];
  /** Fewest rows that it can be fitted on. */
  readonly rowsMin: number;
  /**
   * Needs no clock and no chance of its own. What it wants to choose by validation (penalty, depth, rounds,
   * calibration) it validates on the last rows of its own input; the rows that it is assessed on it never sees.
   *
   * @throws {OperatingError} 'training-…' (reject), with the numbers.
   */
  readonly fit: (input: TrainingInput) => Promise<FittedModel>;
};
