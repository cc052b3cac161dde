import type { OnnxGraph } from './onnx-graph.ts';
import type { Standardisation } from '../core/standardisation.ts';

/** Keeps the shares at 0 if no tag contributes, instead of dividing by zero. */
const TOTAL_MIN = 1e-30;

/** Adds the share of each column in its row's total: [batch, tags] of 0 or more → 0–1, together 1 (or 0). */
export function addShares(graph: OnnxGraph, parts: string): string {
  const total = graph.node('ReduceSum', 'share_total', [parts, graph.integers('share_axis', [1])], { keepdims: 1 });
  const divisor = graph.node('Max', 'share_divisor', [total, graph.floats('share_total_min', [], [TOTAL_MIN])]);
  return graph.node('Div', 'shares', [parts, divisor]);
}

/**
 * Adds z = (x − mean) / deviation per tag, the last dimension of `window`.
 *
 * The mean is subtracted in two float32 parts: the rounding of the mean would hide the changes of a temperature of
 * 300 K that moves by thousandths.
 */
export function addStandardisation(graph: OnnxGraph, window: string, { means, deviations }: Standardisation): string {
  const tags = means.length;
  const coarse = Array.from(means, Math.fround);
  const fine = Array.from(means, (mean, tag) => mean - (coarse[tag] ?? 0));
  const shifted = graph.node('Sub', 'shifted', [window, graph.floats('mean', [tags], coarse)]);
  const centred = graph.node('Sub', 'centred', [shifted, graph.floats('mean_remainder', [tags], fine)]);
  return graph.node('Div', 'standardised', [centred, graph.floats('deviation', [tags], deviations)]);
}

/**
 * Adds the outputs of a classification.
 *
 * - `probabilities`: float32 [batch, classes], calibrated.
 * - `label`: int64 [batch], index of the likeliest class.
 * - `score`: float32 [batch], probability that the class is not the first, normal one.
 *
 * @param logits Float32 [batch, classes].
 */
export function addClassOutputs(graph: OnnxGraph, logits: string, classes: number, temperature: number): void {
  const tempered = graph.node('Div', 'tempered', [logits, graph.floats('temperature', [], [temperature])]);
  const probabilities = graph.node('Softmax', 'class_probabilities', [tempered], { axis: 1 });
  const others = graph.node('Slice', 'abnormal_probabilities', [
    probabilities,
    graph.integers('abnormal_from', [1]),
    graph.integers('abnormal_to', [classes]),
    graph.integers('class_axis', [1]),
  ]);
  const axis = graph.integers('abnormal_axis', [1]);
  graph.output('score', graph.node('ReduceSum', 'abnormal', [others, axis], { keepdims: 0 }), ['batch']);
  graph.output('probabilities', probabilities, ['batch', classes]);
  const label = graph.node('ArgMax', 'likeliest', [probabilities], { axis: 1, keepdims: 0 });
  graph.output('label', label, ['batch'], 'int64');
}

/**
 * Adds the arithmetic of `windowFeatures`: `window` [batch, windowRows, tags] → float64 [batch, features].
 *
 * Doubles keep the rounding of sums below the resolution of float32, in any order of summation.
 */
export function addWindowFeatures(graph: OnnxGraph, window: string, windowRows: number): string {
  if (windowRows === 1) {
    const values = graph.node('Squeeze', 'values', [window, graph.integers('row_axis', [1])]);
    return graph.cast('features', values, 'float64');
  }
  const doubles = graph.cast('window_doubles', window, 'float64');
  const mean = (name: string, rows: string) => graph.node('ReduceMean', name, [rows], { axes: [1], keepdims: 1 });
  const means = mean('means', doubles);
  const centred = graph.node('Sub', 'around_mean', [doubles, means]);
  const variances = mean('variances', graph.node('Mul', 'squares', [centred, centred]));
  const half = Math.floor(windowRows / 2);
  const axis = graph.integers('row_axis', [1]);
  const rows = (name: string, from: number, to: number) =>
    graph.node('Slice', name, [
      doubles,
      graph.integers(`${name}_from`, [from]),
      graph.integers(`${name}_to`, [to]),
      axis,
    ]);
  const newer = mean('newer_means', rows('newer', windowRows - half, windowRows));
  const older = mean('older_means', rows('older', 0, half));
  const parts = [means, graph.node('Sqrt', 'spreads', [variances]), graph.node('Sub', 'drifts', [newer, older])];
  const joined = graph.node('Concat', 'by_feature', parts, { axis: 1 });
  // From [batch, features of a tag, tags] to feature = tag · (features of a tag) + which.
  const byTag = graph.node('Transpose', 'by_tag', [joined], { perm: [0, 2, 1] });
  const flat = graph.node('Flatten', 'flat', [byTag], { axis: 1 });
  return graph.cast('features', graph.cast('features_rounded', flat, 'float32'), 'float64');
}
