import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { rounded, sharesOf } from '../core/statistics.ts';
import { windowRows, wpcaContributions, wpcaStatistics } from './wpca.ts';
import { DETECTOR_ROWS_MIN, detectorScores, trainWpca, type WpcaDetector } from './wpca-detector.ts';
import { wpcaGraph } from './wpca-graph.ts';
import type { TrainingRows } from '../core/training-rows.ts';

/** Whitened principal components of lag-stacked rows: notices that tags no longer move together as they did. */
export const wpcaAlgorithm: TrainingAlgorithm = {
  name: 'wpca',
  description: 'notices that tags no longer move together as they did; needs normal running only',
  tasks: ['anomaly'],
  rowsMin: DETECTOR_ROWS_MIN,
  fit: async ({ segments, onProgress }: TrainingInput) => fittedWpca(trainWpca(segments, onProgress)),
};

function fittedWpca(detector: WpcaDetector): FittedModel {
  const { lags, smoothingRows, drift, rest } = detector.model;
  const steps = windowRows(detector.model);
  return {
    windowRows: steps,
    graph: () => wpcaGraph(detector),
    judge: (rows) => ({ scores: detectorScores(detector, rows).subarray(Math.min(steps - 1, rows.count)) }),
    explain: (window) => decidingShares(detector, window),
    details: {
      lags,
      smoothingRows,
      driftComponents: drift.components,
      restComponents: rest.components,
      driftLimit: rounded(detector.driftLimit, 7),
      restLimit: rounded(detector.restLimit, 7),
      independentSpans: rounded(detector.independentSpans, 4),
    },
    warnings: detector.warnings,
  };
}

/** Returns the shares in the statistic that decides the last row's score; negative parts count as 0. */
function decidingShares(detector: WpcaDetector, window: TrainingRows): Float64Array {
  const { model, driftLimit, restLimit } = detector;
  const { drift, rest } = wpcaStatistics(model, window);
  const driftDecides = (drift.at(-1) ?? 0) / driftLimit > (rest.at(-1) ?? 0) / restLimit;
  const parts = wpcaContributions(model, window, driftDecides ? 'drift' : 'rest').slice(-model.tags);
  return sharesOf(parts.map((part) => Math.max(part, 0)));
}
