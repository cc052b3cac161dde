import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { rounded, sharesOf } from '../core/statistics.ts';
import { OnnxGraph } from '../graph/onnx-graph.ts';
import { addShares, addStandardisation } from '../graph/graph-parts.ts';
import { CHART_ROWS_MIN, chartRatios, chartScores, type ControlChart, trainControlChart } from './control-chart.ts';

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
