import { OnnxGraph } from '../graph/onnx-graph.ts';
import { addShares, addStandardisation } from '../graph/graph-parts.ts';
import { type Projection, windowRows, type WpcaModel } from './wpca.ts';
import type { WpcaDetector } from './wpca-detector.ts';

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
