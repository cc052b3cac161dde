import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { rounded, sharesOf } from '../core/statistics.ts';
import { CHART_ROWS_MIN, chartRatios, chartScores, type ControlChart, trainControlChart } from './control-chart.ts';
import { controlChartGraph } from './control-chart-graph.ts';

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
