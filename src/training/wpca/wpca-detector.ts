import { trainingFailure } from '../core/training-errors.ts';
import { independence } from '../core/autocorrelation.ts';
import { despike } from '../core/despike.ts';
import { concatenated, quantile, rounded, sharesOf } from '../core/statistics.ts';
import { BLOCKS, heldOutBlocks } from '../core/training-blocks.ts';
import { checkTrainingRows, countRows, type TrainingRows } from '../core/training-rows.ts';
import {
  fitWpca,
  windowRows,
  type WpcaModel,
  type WpcaStatistics,
  wpcaStatistics,
  wpcaContributions,
  type Projection,
} from './wpca.ts';
import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { OnnxGraph } from '../graph/onnx-graph.ts';
import { addShares, addStandardisation } from '../graph/graph-parts.ts';

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

/**
 * The detector as one graph, from raw values to the score.
 *
 * - `window`: float32 [batch, L + w − 1, tags], engineering units, oldest row first.
 * - `score`: float32 [batch], max(T² / limit, R² / limit) of the last row; abnormal above 1.
 * - `contributions`: float32 [batch, tags], each tag's share in the statistic that decides the score.
 *
 * A grouped convolution over the lags gives each tag's part of every component. Their sum over the tags,
 * squared and summed, is the statistic; the sum times the part is the tag's contribution. Each weight is in the file
 * once, for score and explanation.
 */
export function wpcaGraph(detector: WpcaDetector): Uint8Array {
  const { model } = detector;
  const graph = new OnnxGraph('wpca');
  const window = graph.input('window', ['batch', windowRows(model), model.tags]);
  const standardised = addStandardisation(graph, window, model.standardisation);
  const byTag = graph.node('Transpose', 'by_tag', [standardised], { perm: [0, 2, 1] });
  const drift = addStatistic(graph, 'drift', byTag, { model, projection: model.drift, limit: detector.driftLimit });
  const rest = addStatistic(graph, 'rest', byTag, { model, projection: model.rest, limit: detector.restLimit });
  const { score, parts } = addWorst(graph, drift, rest);
  graph.output('score', score, ['batch']);
  graph.output('contributions', addShares(graph, graph.node('Relu', 'positive_parts', [parts])), ['batch', model.tags]);
  return graph.bytes();
}

/** Graph names of a statistic divided by its limit, [batch], and of the contribution of each tag, [batch, tags]. */
type Statistic = { readonly score: string; readonly parts: string };

/** The larger of the two, with the parts of the one that is larger. */
function addWorst(graph: OnnxGraph, drift: Statistic, rest: Statistic): Statistic {
  const score = graph.node('Max', 'worst', [drift.score, rest.score]);
  const driftDecides = graph.node('Greater', 'drift_decides', [drift.score, rest.score]);
  const column = graph.node('Unsqueeze', 'drift_decides_column', [driftDecides, graph.integers('column_axis', [1])]);
  return { score, parts: graph.node('Where', 'worst_parts', [column, drift.parts, rest.parts]) };
}

function addStatistic(
  graph: OnnxGraph,
  name: string,
  byTag: string,
  { model, projection, limit }: { readonly model: WpcaModel; readonly projection: Projection; readonly limit: number },
): Statistic {
  const { tags, lags, smoothingRows } = model;
  const { components } = projection;
  const { kernels, biases } = lagKernels(model, projection);
  const flat = graph.node(
    'Conv',
    `${name}_lags`,
    [
      byTag,
      graph.floats(`${name}_kernel`, [tags * components, 1, lags], kernels),
      graph.floats(`${name}_bias`, [tags * components], biases),
    ],
    { group: tags, kernel_shape: [lags] },
  );
  const shape = graph.integers(`${name}_shape`, [0, tags, components, smoothingRows]);
  const parts = graph.node('Reshape', `${name}_parts`, [flat, shape]);
  const tagAxis = graph.integers(`${name}_tag_axis`, [1]);
  const whole = graph.node('ReduceSum', `${name}_whole`, [parts, tagAxis], { keepdims: 1 });
  const scale = graph.floats(`${name}_scale`, [], [smoothingRows * limit]);
  const total = (label: string, value: string, axes: readonly number[]) => {
    const axesName = graph.integers(`${name}_${label}_axes`, axes);
    const sum = graph.node('ReduceSum', `${name}_${label}_sum`, [value, axesName], { keepdims: 0 });
    return graph.node('Div', `${name}_${label}`, [sum, scale]);
  };
  return {
    score: total('score', graph.node('Mul', `${name}_square`, [whole, whole]), [1, 2, 3]),
    parts: total('tags', graph.node('Mul', `${name}_products`, [parts, whole]), [2, 3]),
  };
}

/**
 * Weights of [components, lag · tags + tag] as kernels of a grouped convolution, [tags · components, 1, lags]. A
 * convolution in ONNX does not turn its kernel round, and the newest row of a window is its last.
 */
function lagKernels({ tags, lags, featureMeans }: WpcaModel, { components, weights }: Projection) {
  const kernels = new Float64Array(tags * components * lags);
  const biases = new Float64Array(tags * components);
  for (let tag = 0; tag < tags; tag += 1) {
    for (let component = 0; component < components; component += 1) {
      const channel = tag * components + component;
      for (let lag = 0; lag < lags; lag += 1) {
        const feature = lag * tags + tag;
        const weight = weights[component * lags * tags + feature] ?? 0;
        kernels[channel * lags + lags - 1 - lag] = weight;
        biases[channel] = (biases[channel] ?? 0) - weight * (featureMeans[feature] ?? 0);
      }
    }
  }
  return { kernels, biases };
}
