import type { OnnxGraph } from './onnx-graph.ts';

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
