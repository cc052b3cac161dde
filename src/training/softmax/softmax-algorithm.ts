import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { classified } from '../core/classified.ts';
import { LABELLED_ROWS_MIN, LABELLED_WINDOW_ROWS, labelledFeatures } from '../core/labelled-features.ts';
import { fitSoftmax, softmaxLogits, type SoftmaxModel, softmaxTerms } from './softmax.ts';
import { softmaxGraph } from './softmax-graph.ts';
import type { TrainingRows } from '../core/training-rows.ts';
import { windowFeatures } from '../core/window-features.ts';

/** Softmax regression; of two classes, logistic regression. */
export const softmaxAlgorithm: TrainingAlgorithm = {
  name: 'softmax',
  description: 'separates classes by weighted sums of the tags; explains its verdicts and needs few rows',
  tasks: ['classification'],
  rowsMin: LABELLED_ROWS_MIN,
  fit: async (input: TrainingInput) => {
    const windowRows = input.windowRows ?? LABELLED_WINDOW_ROWS;
    const rows = labelledFeatures(input, windowRows);
    return fittedSoftmax(fitSoftmax(rows, input.onProgress), windowRows, rows.tags);
  },
};

function fittedSoftmax(model: SoftmaxModel, windowRows: number, tags: number): FittedModel {
  return {
    windowRows,
    graph: () => softmaxGraph(model, windowRows, tags),
    judge: (rows) =>
      classified(softmaxLogits(model, windowFeatures(rows, windowRows)), model.classes, model.temperature),
    explain: (window) => tagShares(model, window, windowRows),
    details: { penalty: model.penalty, temperature: Number(model.temperature.toPrecision(4)) },
    warnings: [],
  };
}

function tagShares(model: SoftmaxModel, window: TrainingRows, windowRows: number): Float64Array {
  const terms = softmaxTerms(model, windowFeatures(window, windowRows));
  const perTag = terms.length / window.tags;
  const total = terms.reduce((sum, term) => sum + term, 0);
  return Float64Array.from({ length: window.tags }, (_, tag) => {
    const sum = terms.subarray(tag * perTag, (tag + 1) * perTag).reduce((parts, part) => parts + part, 0);
    return total > 0 ? sum / total : 0;
  });
}
