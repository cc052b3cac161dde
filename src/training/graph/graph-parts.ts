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
