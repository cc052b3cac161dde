import { OperatingError } from '../../platform/errors.ts';
import { slowestAutocorrelationRows } from '../core/autocorrelation.ts';
import { despike } from '../core/despike.ts';
import { quantile } from '../core/quantile.ts';
import { BLOCKS, blockBounds, inside, outside } from '../core/training-blocks.ts';
import { checkTrainingRows, countRows, type TrainingRows } from '../core/training-rows.ts';
import { fitWpca, windowRows, type WpcaModel, type WpcaStatistics, wpcaStatistics } from './wpca.ts';

/** A shorter rest of a run is not used. */
const SEGMENT_ROWS_MIN = 40;
/** Fewest rows that a detector is trained on. */
export const DETECTOR_ROWS_MIN = 200;
/** T² measures drift, which is often harmless: its margin is this many times that of R². */
const DRIFT_MARGIN_FACTOR = 3;
/** Fewer independent spans in the training rows than this, and the limits are a guess. */
const INDEPENDENT_SPANS_MIN = 5;

/** Limit of a statistic that is constant in normal running: it never alarms. Finite in float32. */
const NO_LIMIT = 1e30;

/** Limit of a statistic: this quantile of blocked normal running, times the margin. */
export type LimitPolicy = { readonly quantile: number; readonly margin: number };

/** For minutes of normal running: the next hour may look different. */
const shortHistoryLimits: LimitPolicy = { quantile: 0.95, margin: 1.5 };
/** For hours of stationary running: the maximum of the statistic has been seen. */
export const longHistoryLimits: LimitPolicy = { quantile: 0.99, margin: 1 };

export type WpcaOptions = {
  readonly limits?: LimitPolicy;
  /** Takes the share that is done, 0–1. */
  readonly onProgress?: (share: number) => void;
};

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
export function trainWpca(segments: readonly TrainingRows[], options: WpcaOptions = {}): WpcaDetector {
  const { limits: policy = shortHistoryLimits, onProgress = () => undefined } = options;
  checkTrainingRows(segments, DETECTOR_ROWS_MIN);
  const clean = segments.filter(({ count }) => count >= SEGMENT_ROWS_MIN).map(despike);
  checkTrainingRows(clean, DETECTOR_ROWS_MIN);
  const model = fitWpca(clean);
  onProgress(1 / (BLOCKS + 1));
  const statistics = blockedStatistics(clean, model, onProgress);
  const limit = (values: Float64Array, factor: number) => {
    const value = quantile(values, policy.quantile) * policy.margin * factor;
    return value > 0 ? value : NO_LIMIT;
  };
  const independentSpans = countRows(clean) / slowestAutocorrelationRows(clean);
  return {
    model,
    driftLimit: limit(statistics.drift, DRIFT_MARGIN_FACTOR),
    restLimit: limit(statistics.rest, 1),
    independentSpans,
    warnings: limitWarnings(independentSpans, policy),
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
  const total = countRows(segments);
  const drift: Float64Array[] = [];
  const rest: Float64Array[] = [];
  for (let block = 0; block < BLOCKS; block += 1) {
    const [from, to] = blockBounds(block, total);
    const others = outside(segments, from, to).filter(({ count }) => count >= SEGMENT_ROWS_MIN);
    if (others.length === 0) continue;
    const fitted = fitWpca(others, model.lags);
    for (const { rows, skip } of inside(segments, from, to, windowRows(model) + 1)) {
      const statistics = wpcaStatistics(fitted, rows);
      drift.push(statistics.drift.subarray(skip));
      rest.push(statistics.rest.subarray(skip));
    }
    onProgress((block + 2) / (BLOCKS + 1));
  }
  const pooled = { drift: concatenate(drift), rest: concatenate(rest) };
  if (pooled.rest.length === 0)
    throw new OperatingError(
      'training-too-few-rows',
      'reject',
      `No run among the ${total} training rows is long enough to check limits on`,
    );
  return pooled;
}

function concatenate(parts: readonly Float64Array[]): Float64Array {
  const whole = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function limitWarnings(independentSpans: number, policy: LimitPolicy): readonly string[] {
  if (independentSpans >= INDEPENDENT_SPANS_MIN) return [];
  const seen = `The training rows see the slowest tag move only ${independentSpans.toFixed(1)} times`;
  const margin = policy.margin < shortHistoryLimits.margin ? '; a margin of 1.5 or more is advised' : '';
  return [`${seen}: expect false alarms when it reaches new values${margin}. Train on a longer span.`];
}
