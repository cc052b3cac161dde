import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { sharesOf } from '../core/statistics.ts';
import { predictRidge, RIDGE_ROWS_MIN, ridgeTerms, type TrainedRidge, trainRidge } from './ridge.ts';
import { ridgeGraph } from './ridge-graph.ts';

/** Default number of averaged rows. */
const WINDOW_ROWS = 10;

/** Ridge regression: predicts a quality from the tags' means over a window. */
export const ridgeAlgorithm: TrainingAlgorithm = {
  name: 'ridge',
  description: 'predicts a quality as a weighted sum of the tags; the first choice with few rows',
  tasks: ['regression'],
  rowsMin: RIDGE_ROWS_MIN,
  fit: async ({ segments, targets, windowRows }: TrainingInput) =>
    fittedRidge(trainRidge(segments, targets ?? [], windowRows ?? WINDOW_ROWS)),
};

function fittedRidge({ model, penalty }: TrainedRidge): FittedModel {
  return {
    windowRows: model.windowRows,
    graph: () => ridgeGraph(model),
    judge: (rows) => ({ scores: predictRidge(model, rows) }),
    explain: (window) => sharesOf(ridgeTerms(model, window).map(Math.abs)),
    details: { penalty },
    warnings: [],
  };
}
