import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { classified } from '../core/classified.ts';
import {
  LABELLED_ROWS_MIN,
  LABELLED_WINDOW_ROWS,
  type LabelledFeatures,
  labelledFeatures,
} from '../core/labelled-features.ts';
import { fitMlp, type Mlp, mlpOutputs, mlpSettings } from './mlp.ts';
import { mlpGraph } from './mlp-graph.ts';
import { windowFeatures } from '../core/window-features.ts';

/** A small multilayer perceptron, for classes and for qualities. */
export const mlpAlgorithm: TrainingAlgorithm = {
  name: 'mlp',
  description: 'learns from labelled rows with a few small neural networks; smooth, unlike the steps of trees',
  tasks: ['classification', 'regression'],
  rowsMin: LABELLED_ROWS_MIN,
  fit: async (input: TrainingInput) => {
    const rows = labelledFeatures(input, input.windowRows ?? LABELLED_WINDOW_ROWS);
    return fittedMlp(fitMlp(rows, input.seed, mlpSettings, input.onProgress), rows);
  },
};

function fittedMlp(model: Mlp, { windowRows, tags, classes }: LabelledFeatures): FittedModel {
  return {
    windowRows,
    graph: () => mlpGraph(model, { windowRows, tags, classes }),
    judge: (rows) => {
      const outputs = mlpOutputs(model, windowFeatures(rows, windowRows));
      return classes > 0 ? classified(outputs, classes, model.temperature) : { scores: outputs };
    },
    explain: undefined,
    details: {
      networks: model.members.length,
      hidden: [...mlpSettings.hidden],
      epochs: [...model.epochs],
      ...(classes > 0 ? { temperature: Number(model.temperature.toPrecision(4)) } : {}),
    },
    warnings: [],
  };
}
