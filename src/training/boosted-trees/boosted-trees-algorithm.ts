import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { boostedSums, type BoostedTrees, boostingSettings, fitBoostedTrees } from './boosted-trees.ts';
import { boostedTreesGraph } from './boosted-trees-graph.ts';
import { classified } from '../core/classified.ts';
import {
  LABELLED_ROWS_MIN,
  LABELLED_WINDOW_ROWS,
  type LabelledFeatures,
  labelledFeatures,
} from '../core/labelled-features.ts';
import { windowFeatures } from '../core/window-features.ts';

/** Gradient-boosted trees, for classes and for qualities. */
export const boostedTreesAlgorithm: TrainingAlgorithm = {
  name: 'boosted-trees',
  description: 'learns from labelled rows with many small trees; the most accurate if tags act together',
  tasks: ['classification', 'regression'],
  rowsMin: LABELLED_ROWS_MIN,
  fit: async (input: TrainingInput) => {
    const rows = labelledFeatures(input, input.windowRows ?? LABELLED_WINDOW_ROWS);
    return fittedTrees(fitBoostedTrees(rows, input.seed, boostingSettings, input.onProgress), rows);
  },
};

function fittedTrees(model: BoostedTrees, { windowRows, tags, classes }: LabelledFeatures): FittedModel {
  const { leavesMax, learningRate } = boostingSettings;
  return {
    windowRows,
    graph: () => boostedTreesGraph(model, { windowRows, tags, classes }),
    judge: (rows) => {
      const sums = boostedSums(model, windowFeatures(rows, windowRows));
      return classes > 0 ? classified(sums, classes, model.temperature) : { scores: sums };
    },
    explain: undefined,
    details: {
      rounds: model.rounds,
      trees: model.trees.length,
      leavesMax,
      learningRate,
      ...(classes > 0 ? { temperature: Number(model.temperature.toPrecision(4)) } : {}),
    },
    warnings: [],
  };
}
