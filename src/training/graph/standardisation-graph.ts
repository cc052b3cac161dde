import type { OnnxGraph } from './onnx-graph.ts';
import type { Standardisation } from '../core/standardisation.ts';

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
