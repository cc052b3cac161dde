import { trainingFailure } from '../core/training-errors.ts';
import { independence } from '../core/autocorrelation.ts';
import { despike } from '../core/despike.ts';
import { concatenated, quantile, rounded, sharesOf } from '../core/statistics.ts';
import { BLOCKS, heldOutBlocks } from '../core/training-blocks.ts';
import { checkTrainingRows, countRows, type TrainingRows } from '../core/training-rows.ts';
import { fitWpca, windowRows, type WpcaModel, type WpcaStatistics, wpcaStatistics, wpcaContributions } from './wpca.ts';
import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { wpcaGraph } from './wpca-graph.ts';

/** A shorter rest of a run is not used. */
const SEGMENT_ROWS_MIN = 40;
/** Fewest rows that a detector is trained on. */
const DETECTOR_ROWS_MIN = 200;
/** T² measures drift, which is often harmless: its margin is this many times that of R². */
const DRIFT_MARGIN_FACTOR = 3;
/** Limit of a statistic that is constant in normal running: it never alarms. Finite in float32. */
const NO_LIMIT = 1e30;

/** Limit of a statistic: this quantile of blocked normal running, times the margin: the next hour may look different. */
const LIMIT_QUANTILE = 0.95;
const LIMIT_MARGIN = 1.5;

/** Whitened principal components of lag-stacked rows: notices that tags no longer move together as they did. */
export const wpcaAlgorithm: TrainingAlgorithm = {
  name: 'wpca',
  description: 'notices that tags no longer move together as they did; needs normal running only',
  tasks: ['anomaly'],
  rowsMin: DETECTOR_ROWS_MIN,
  fit: async ({ segments, onProgress }: TrainingInput) => fittedWpca(trainWpca(segments, onProgress)),
};

function fittedWpca(detector: WpcaDetector): FittedModel {
  const { lags, smoothingRows, drift, rest } = detector.model;
  const steps = windowRows(detector.model);
  return {
    windowRows: steps,
    graph: () => wpcaGraph(detector),
    judge: (rows) => ({ scores: detectorScores(detector, rows).subarray(Math.min(steps - 1, rows.count)) }),
    explain: (window) => decidingShares(detector, window),
    details: {
      lags,
      smoothingRows,
      driftComponents: drift.components,
      restComponents: rest.components,
      driftLimit: rounded(detector.driftLimit, 7),
      restLimit: rounded(detector.restLimit, 7),
      independentSpans: rounded(detector.independentSpans, 4),
    },
    warnings: detector.warnings,
  };
}

/** Returns the shares in the statistic that decides the last row's score; negative parts count as 0. */
function decidingShares(detector: WpcaDetector, window: TrainingRows): Float64Array {
  const { model, driftLimit, restLimit } = detector;
  const { drift, rest } = wpcaStatistics(model, window);
  const driftDecides = (drift.at(-1) ?? 0) / driftLimit > (rest.at(-1) ?? 0) / restLimit;
  const parts = wpcaContributions(model, window, driftDecides ? 'drift' : 'rest').slice(-model.tags);
  return sharesOf(parts.map((part) => Math.max(part, 0)));
}

/** A model with its limits: score = max(T² / driftLimit, R² / restLimit), abnormal above 1, normal again at 0.8. */
export type WpcaDetector = {
  readonly model: WpcaModel;
  /** Margins included. */
  readonly driftLimit: number;
  readonly restLimit: number;
  /** Training rows divided by the autocorrelation time of the slowest tag: number of independent observations. */
  readonly independentSpans: number;
  /** Reasons for an operator to distrust the limits; empty if there are none. */
  readonly warnings: readonly string[];
};

/**
 * Learns normal running.
 *
 * The limits come from rows outside the fit: limits from the training rows themselves are far too tight (98 % false
 * alarms on a stationary plant; blocked limits give 0.3 %).
 *
 * @param segments Runs without a gap, normal running only; `DETECTOR_ROWS_MIN` rows or more in all.
 * @throws {OperatingError} 'training-too-few-rows' | 'training-too-many-rows' | 'training-too-many-tags' |
 *   'training-value-invalid' | 'training-no-variance' (reject).
 */
export function trainWpca(
  segments: readonly TrainingRows[],
  onProgress: (share: number) => void = () => undefined,
): WpcaDetector {
  checkTrainingRows(segments, DETECTOR_ROWS_MIN);
  const clean = segments.filter(({ count }) => count >= SEGMENT_ROWS_MIN).map(despike);
  checkTrainingRows(clean, DETECTOR_ROWS_MIN);
  const model = fitWpca(clean);
  onProgress(1 / (BLOCKS + 1));
  const statistics = blockedStatistics(clean, model, onProgress);
  const limit = (values: Float64Array, factor: number) => {
    const value = quantile(values, LIMIT_QUANTILE) * LIMIT_MARGIN * factor;
    return value > 0 ? value : NO_LIMIT;
  };
  return {
    model,
    driftLimit: limit(statistics.drift, DRIFT_MARGIN_FACTOR),
    restLimit: limit(statistics.rest, 1),
    ...independence(clean),
  };
}

/** Returns the score of every row; the first `windowRows − 1` rows have a shorter window. */
export function detectorScores(detector: WpcaDetector, rows: TrainingRows): Float64Array {
  const { drift, rest } = wpcaStatistics(detector.model, rows);
  return drift.map((value, row) => Math.max(value / detector.driftLimit, (rest[row] ?? 0) / detector.restLimit));
}

/**
 * Returns the statistics of each block from a fit on the other rows, with the same lag depth. Rows without a full window,
 * near the start of a run, are omitted.
 */
function blockedStatistics(
  segments: readonly TrainingRows[],
  model: WpcaModel,
  onProgress: (share: number) => void,
): WpcaStatistics {
  const found = heldOutBlocks(segments, windowRows(model) + 1).flatMap(({ heldOut, others }, block) => {
    const long = others.filter(({ count }) => count >= SEGMENT_ROWS_MIN);
    if (long.length === 0) return [];
    const fitted = fitWpca(long, model.lags);
    const statistics = heldOut.map(({ rows, skip }) => {
      const { drift, rest } = wpcaStatistics(fitted, rows);
      return { drift: drift.subarray(skip), rest: rest.subarray(skip) };
    });
    onProgress((block + 2) / (BLOCKS + 1));
    return statistics;
  });
  if (found.length === 0)
    throw trainingFailure(
      'training-too-few-rows',
      `No run among the ${countRows(segments)} training rows is long enough to check limits on`,
    );
  return {
    drift: concatenated(found.map(({ drift }) => drift)),
    rest: concatenated(found.map(({ rest }) => rest)),
  };
}
