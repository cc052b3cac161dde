import { trainingFailure } from '../core/training-errors.ts';
import { independence } from '../core/autocorrelation.ts';
import { despike } from '../core/despike.ts';
import { columnOf, concatenated, quantile, rounded, sharesOf } from '../core/statistics.ts';
import { fitStandardisation, type Standardisation, standardise } from '../core/standardisation.ts';
import { heldOutBlocks } from '../core/training-blocks.ts';
import { checkTrainingRows, countRows, type TrainingRows } from '../core/training-rows.ts';
import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { OnnxGraph } from '../graph/onnx-graph.ts';
import { addShares, addStandardisation } from '../graph/graph-parts.ts';

/** Fewest rows that a chart is made from. */
const CHART_ROWS_MIN = 200;
/** Default window in rows: a smoothing weight of about 0.2. */
const CHART_WINDOW_ROWS = 21;
/** Weight of the row before the window, relative to the newest row. */
const FORGOTTEN = 0.01;
/** Limit of a tag: this quantile of blocked normal running, times the margin. */
const LIMIT_QUANTILE = 0.99;
const LIMIT_MARGIN = 1.5;
/** Limit of a tag that is constant except for rounding: it never alarms. Finite in float32. */
const NO_LIMIT = 1e30;
const LIMIT_MIN = 1e-6;

/** A control chart of each tag for itself: an exponentially weighted moving average between limits. */
export const controlChartAlgorithm: TrainingAlgorithm = {
  name: 'control-chart',
  description: 'notices that a tag leaves its usual place; for one or two tags, needs normal running only',
  tasks: ['anomaly'],
  rowsMin: CHART_ROWS_MIN,
  fit: async ({ segments, windowRows }: TrainingInput) => fittedChart(trainControlChart(segments, windowRows)),
};

function fittedChart(chart: ControlChart): FittedModel {
  return {
    windowRows: chart.weights.length,
    graph: () => controlChartGraph(chart),
    judge: (rows) => ({ scores: chartScores(chart, rows) }),
    explain: (window) => sharesOf(chartRatios(chart, window).subarray(0, chart.tags)),
    details: {
      newestRowWeight: rounded(chart.weights.at(-1) ?? 1, 4),
      limitDeviations: Array.from(chart.limits, (limit) => rounded(limit, 4)),
      independentSpans: rounded(chart.independentSpans, 4),
    },
    warnings: chart.warnings,
  };
}

/**
 * The chart as one graph, from raw values to the score.
 *
 * - `window`: float32 [batch, rows, tags], engineering units, oldest row first.
 * - `score`: float32 [batch], the worst tag's moving average over its limit; abnormal above 1.
 * - `contributions`: float32 [batch, tags], each tag's share in the sum of those ratios.
 */
function controlChartGraph({ tags, standardisation, weights, limits }: ControlChart): Uint8Array {
  const graph = new OnnxGraph('control-chart');
  const window = graph.input('window', ['batch', weights.length, tags]);
  const standardised = addStandardisation(graph, window, standardisation);
  const row = graph.floats('weights', [1, weights.length], weights);
  const averages = graph.node('MatMul', 'averages', [row, standardised]);
  const byTag = graph.node('Squeeze', 'averages_by_tag', [averages, graph.integers('row_axis', [1])]);
  const sizes = graph.node('Abs', 'sizes', [byTag]);
  const ratios = graph.node('Div', 'ratios', [sizes, graph.floats('limits', [tags], limits)]);
  graph.output('score', graph.node('ReduceMax', 'worst', [ratios], { axes: [1], keepdims: 0 }), ['batch']);
  graph.output('contributions', addShares(graph, ratios), ['batch', tags]);
  return graph.bytes();
}

/** Exponentially weighted moving average of each tag, over its limit; the worst tag decides. */
export type ControlChart = {
  readonly tags: number;
  readonly standardisation: Standardisation;
  /** Weight of each row of a window, oldest first; they add up to 1. */
  readonly weights: Float64Array;
  /** Limit of each tag in standard deviations, margin included. */
  readonly limits: Float64Array;
  /** Training rows over the autocorrelation time of the slowest tag. */
  readonly independentSpans: number;
  readonly warnings: readonly string[];
};

/**
 * Learns the range of each tag in normal running.
 *
 * Textbook limits hold for independent rows: a slow tag would cross them every hour. These limits are quantiles of the
 * moving average in blocks of rows that were not used for the mean.
 *
 * @param segments Runs without a gap, normal running only; `CHART_ROWS_MIN` rows or more in all.
 * @throws {OperatingError} 'training-too-few-rows' | 'training-too-many-rows' | 'training-too-many-tags' |
 *   'training-value-invalid' | 'training-no-variance' (reject).
 * @see Roberts, Control Chart Tests Based on Geometric Moving Averages, Technometrics 1(3), 1959.
 */
export function trainControlChart(segments: readonly TrainingRows[], windowRows = CHART_WINDOW_ROWS): ControlChart {
  checkTrainingRows(segments, CHART_ROWS_MIN);
  const clean = segments.map(despike);
  const weights = chartWeights(windowRows);
  const limits = blockedLimits(clean, weights);
  const tags = limits.length;
  if (limits.every((limit) => limit === NO_LIMIT))
    throw trainingFailure(
      'training-no-variance',
      `None of the ${tags} tags changes in ${countRows(segments)} training rows`,
    );
  return { tags, standardisation: fitStandardisation(clean, tags), weights, limits, ...independence(clean) };
}

/** |average| over the limit, of each tag and every row with a full window; shape [rows, tags], row-major. */
function chartRatios(chart: ControlChart, rows: TrainingRows): Float64Array {
  return movingAverages(rows, chart.standardisation, chart.weights).map(
    (average, index) => Math.abs(average) / (chart.limits[index % chart.tags] ?? NO_LIMIT),
  );
}

/** The worst tag's ratio, for every row with a full window. */
export function chartScores(chart: ControlChart, rows: TrainingRows): Float64Array {
  const ratios = chartRatios(chart, rows);
  return Float64Array.from({ length: ratios.length / chart.tags }, (_, row) =>
    Math.max(...ratios.subarray(row * chart.tags, (row + 1) * chart.tags)),
  );
}

/** Falls from row to row by a factor that leaves `FORGOTTEN` at the window's end. */
function chartWeights(windowRows: number): Float64Array {
  const kept = FORGOTTEN ** (1 / windowRows);
  const weights = Float64Array.from({ length: windowRows }, (_, row) => kept ** (windowRows - 1 - row));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Shape [rows − window + 1, tags], row-major, in standard deviations from the mean. */
function movingAverages(rows: TrainingRows, standardisation: Standardisation, weights: Float64Array): Float64Array {
  const { tags } = rows;
  const values = standardise(rows.values, standardisation);
  const count = Math.max(rows.count - weights.length + 1, 0);
  return Float64Array.from({ length: count * tags }, (_, index) => {
    let average = 0;
    for (let row = 0; row < weights.length; row += 1)
      average += (weights[row] ?? 0) * (values[index + row * tags] ?? 0);
    return average;
  });
}

function blockedLimits(segments: readonly TrainingRows[], weights: Float64Array): Float64Array {
  const tags = segments[0]?.tags ?? 0;
  const warmUp = weights.length - 1;
  const averages = heldOutBlocks(segments, { warmUpRows: warmUp }).flatMap(({ heldOut, others }) => {
    if (countRows(others) === 0) return [];
    const standardisation = fitStandardisation(others, tags);
    return heldOut.map(({ rows, skip }) =>
      movingAverages(rows, standardisation, weights).subarray((skip - warmUp) * tags),
    );
  });
  const sizes = concatenated(averages).map(Math.abs);
  if (sizes.length === 0)
    throw trainingFailure(
      'training-too-few-rows',
      `No run among the ${countRows(segments)} training rows is as long as the window of ${weights.length} rows`,
    );
  return Float64Array.from({ length: tags }, (_, tag) => {
    const limit = quantile(columnOf(sizes, tags, tag), LIMIT_QUANTILE);
    return limit > LIMIT_MIN ? limit * LIMIT_MARGIN : NO_LIMIT;
  });
}
