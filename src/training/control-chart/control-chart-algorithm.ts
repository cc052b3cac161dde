import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
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
    explain: (window) => {
      const ratios = chartRatios(chart, window).subarray(0, chart.tags);
      const total = ratios.reduce((sum, ratio) => sum + ratio, 0);
      return ratios.map((ratio) => (total > 0 ? ratio / total : 0));
    },
    details: {
      newestRowWeight: Number((chart.weights.at(-1) ?? 1).toPrecision(4)),
      limitDeviations: Array.from(chart.limits, (limit) => Number(limit.toPrecision(4))),
      independentSpans: Number(chart.independentSpans.toPrecision(4)),
    },
    warnings: chart.warnings,
  };
}
