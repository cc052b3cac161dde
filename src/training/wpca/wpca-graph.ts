import type { Imputation } from '../../domain/model/imputation.ts';
import { addShares, addStandardisation } from '../graph/graph-parts.ts';
import { OnnxGraph } from '../graph/onnx-graph.ts';
import { SQUARE_MIN } from './roughness.ts';
import { LASTING_ROWS, type Projection, SHIFT_ROWS, SMOOTHING_ROWS, windowRows, type WpcaModel } from './wpca.ts';
import { usesLasting, type WpcaLimits } from './wpca-statistics.ts';

/** Output with the parts of the tags in each measure, and how these become the value of the measure. */
export const PARTS_OUTPUT = 'parts';
export function partMeasures(limits: WpcaLimits): Imputation['measures'] {
  return usesLasting(limits) ? ['sum', 'sum', 'sum', 'largest', 'sum'] : ['sum', 'sum', 'sum', 'largest'];
}

/** Graph names of a statistic divided by its limit, [batch], and of the part of each tag, [batch, tags]. */
type Statistic = { readonly score: string; readonly parts: string };

/**
 * The detector as one graph, from raw values to the score.
 *
 * - `window`: float32 [batch, L + 59, tags] or, with a limit for the mean of R² over more rows, [batch, L + 119, tags]; engineering
 *   units, oldest row first.
 * - `score`: float32 [batch], the largest of T², R², M, V and the longer mean of R², each divided by its limit; abnormal above 1.
 * - `contributions`: float32 [batch, tags], each tag's share in the statistic that decides the score.
 * - `parts`: float32 [batch, 4 or 5, tags], each tag's part in these, each divided by its limit. The parts of T², R² and M
 *   add up to the statistic, and V is the largest: the score without a tag whose values were estimated.
 *
 * A grouped convolution over the lags gives each tag's part of every component. Their sum over the tags, squared and summed,
 * is the statistic; the sum times the part is the tag's contribution. M is the same convolution of the mean of the rows.
 */
export function wpcaGraph({ model, limits }: { readonly model: WpcaModel; readonly limits: WpcaLimits }): Uint8Array {
  const graph = new OnnxGraph('wpca');
  const isLasting = usesLasting(limits);
  const window = graph.input('window', ['batch', windowRows(model, isLasting), model.tags]);
  const standardised = addStandardisation(graph, window, model.standardisation);
  const byTag = graph.node('Transpose', 'by_tag', [standardised], { perm: [0, 2, 1] });
  const smoothed = lastRows(graph, 'smoothed_rows', byTag, model.lags + SMOOTHING_ROWS - 1);
  const recent = isLasting ? lastRows(graph, 'recent_rows', byTag, windowRows(model)) : byTag;
  const averaged = graph.node('AveragePool', 'mean_rows', [recent], { kernel_shape: [SHIFT_ROWS], strides: [1] });
  const drift = addKernels(graph, 'drift', model, model.drift);
  const rest = addKernels(graph, 'rest', model, model.rest);
  const statistics = [
    addStatistic(graph, 'drift', smoothed, { ...drift, rows: SMOOTHING_ROWS, limit: limits.drift }),
    addStatistic(graph, 'rest', smoothed, { ...rest, rows: SMOOTHING_ROWS, limit: limits.rest }),
    addStatistic(graph, 'shift', averaged, { ...rest, rows: 1, limit: limits.shift }),
    addRoughness(graph, byTag, model, limits.roughness),
    ...(isLasting
      ? [addStatistic(graph, 'lasting', byTag, { ...rest, rows: LASTING_ROWS, limit: limits.lasting })]
      : []),
  ];
  const { score, parts } = statistics.reduce((worst, next, index) => addWorst(graph, `worst_${index}`, worst, next));
  graph.output('score', score, ['batch']);
  const axis = graph.integers('measure_axis', [1]);
  const each = statistics.map((statistic, index) =>
    graph.node('Unsqueeze', `measure_${index}`, [statistic.parts, axis]),
  );
  graph.output(PARTS_OUTPUT, graph.node('Concat', 'all_parts', each, { axis: 1 }), [
    'batch',
    statistics.length,
    model.tags,
  ]);
  graph.output('contributions', addShares(graph, graph.node('Relu', 'positive_parts', [parts])), ['batch', model.tags]);
  return graph.bytes();
}

/** The larger of the two, with the parts of the one that is larger. */
function addWorst(graph: OnnxGraph, name: string, a: Statistic, b: Statistic): Statistic {
  const score = graph.node('Max', name, [a.score, b.score]);
  const isFirst = graph.node('Greater', `${name}_is_first`, [a.score, b.score]);
  const column = graph.node('Unsqueeze', `${name}_column`, [isFirst, graph.integers(`${name}_axis`, [1])]);
  return { score, parts: graph.node('Where', `${name}_parts`, [column, a.parts, b.parts]) };
}

/** Last rows of [batch, tags, rows]. */
function lastRows(graph: OnnxGraph, name: string, value: string, rows: number): string {
  return graph.node('Slice', name, [
    value,
    graph.integers(`${name}_from`, [-rows]),
    graph.integers(`${name}_to`, [Number.MAX_SAFE_INTEGER]),
    graph.integers(`${name}_axis`, [2]),
  ]);
}

type Kernels = {
  readonly kernel: string;
  readonly bias: string;
  readonly components: number;
  readonly model: WpcaModel;
};

function addKernels(graph: OnnxGraph, name: string, model: WpcaModel, projection: Projection): Kernels {
  const { components } = projection;
  const { kernels, biases } = lagKernels(model, projection);
  return {
    kernel: graph.floats(`${name}_kernel`, [model.tags * components, 1, model.lags], kernels),
    bias: graph.floats(`${name}_bias`, [model.tags * components], biases),
    components,
    model,
  };
}

/** @param of `rows`: rows of the mean, which are the positions of the kernel on the signal. */
function addStatistic(
  graph: OnnxGraph,
  name: string,
  signal: string,
  of: Kernels & { readonly rows: number; readonly limit: number },
): Statistic {
  const { kernel, bias, components, rows, limit } = of;
  const { tags, lags } = of.model;
  const flat = graph.node('Conv', `${name}_lags`, [signal, kernel, bias], { group: tags, kernel_shape: [lags] });
  const shape = graph.integers(`${name}_shape`, [0, tags, components, rows]);
  const parts = graph.node('Reshape', `${name}_parts`, [flat, shape]);
  const tagAxis = graph.integers(`${name}_tag_axis`, [1]);
  const whole = graph.node('ReduceSum', `${name}_whole`, [parts, tagAxis], { keepdims: 1 });
  const scale = graph.floats(`${name}_scale`, [], [rows * limit]);
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

/** @param byTag Standardised, [batch, tags, rows]. */
function addRoughness(graph: OnnxGraph, byTag: string, { tags, roughness }: WpcaModel, limit: number): Statistic {
  const axis = graph.integers('roughness_axis', [2]);
  const later = lastRows(graph, 'later_rows', byTag, SMOOTHING_ROWS);
  const earlier = graph.node('Slice', 'earlier_rows', [
    byTag,
    graph.integers('earlier_from', [-SMOOTHING_ROWS - 1]),
    graph.integers('earlier_to', [-1]),
    axis,
  ]);
  const steps = graph.node('Sub', 'steps', [later, earlier]);
  const squares = graph.node('ReduceMean', 'mean_square', [graph.node('Mul', 'step_squares', [steps, steps])], {
    axes: [2],
    keepdims: 0,
  });
  const atLeast = graph.node('Add', 'square_at_least', [squares, graph.floats('square_min', [], [SQUARE_MIN])]);
  const distance = graph.node('Sub', 'roughness_distance', [
    graph.node('Log', 'log_roughness', [atLeast]),
    graph.floats('roughness_mean', [tags], roughness.means),
  ]);
  const deviations = graph.node('Div', 'roughness_deviations', [
    distance,
    graph.floats('roughness_deviation', [tags], roughness.deviations),
  ]);
  const parts = graph.node('Div', 'roughness_parts', [
    graph.node('Mul', 'roughness_squares', [deviations, deviations]),
    graph.floats('roughness_limit', [], [limit]),
  ]);
  return { score: graph.node('ReduceMax', 'roughness_score', [parts], { axes: [1], keepdims: 0 }), parts };
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
