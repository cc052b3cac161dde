import type { OnnxGraph } from './onnx-graph.ts';

/** Keeps the shares at 0 if no tag contributes, instead of dividing by zero. */
const TOTAL_MIN = 1e-30;

/** Adds the share of each column in its row's total: [batch, tags] of 0 or more → 0–1, together 1 (or 0). */
export function addShares(graph: OnnxGraph, parts: string): string {
  const total = graph.node('ReduceSum', 'share_total', [parts, graph.integers('share_axis', [1])], { keepdims: 1 });
  const divisor = graph.node('Max', 'share_divisor', [total, graph.floats('share_total_min', [], [TOTAL_MIN])]);
  return graph.node('Div', 'shares', [parts, divisor]);
}
