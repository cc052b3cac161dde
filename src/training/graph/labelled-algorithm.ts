import type { FittedModel, Judged, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { softmax } from '../core/calibration.ts';
import {
  LABELLED_ROWS_MIN,
  LABELLED_WINDOW_ROWS,
  type LabelledFeatures,
  labelledFeatures,
} from '../core/labelled-features.ts';
import { rounded } from '../core/statistics.ts';
import type { TrainingRows } from '../core/training-rows.ts';
import { type FeatureRows, windowFeatures } from '../core/window-features.ts';
import { OnnxGraph } from './onnx-graph.ts';
import { addWindowFeatures, addClassOutputs } from './graph-parts.ts';

/** Parts of an algorithm that learns from the features of labelled windows. */
type LabelledParts<Model extends { readonly temperature: number }> = Pick<
  TrainingAlgorithm,
  'name' | 'description' | 'tasks'
> & {
  readonly fit: (rows: LabelledFeatures, input: TrainingInput) => Model;
  /** Returns the logits of the classes, before any temperature, or the quality; shape [rows, outputs]. */
  readonly outputs: (model: Model, rows: FeatureRows) => Float64Array;
  /** Adds the arithmetic of `outputs` to the graph: float64 [batch, features] → float32 [batch, outputs]. */
  readonly addOutputs: (graph: OnnxGraph, features: string, model: Model, rows: LabelledFeatures) => string;
  /** Returns the share of each tag in the output for one window. `addOutputs` then adds the output `contributions`. */
  readonly explain?: (model: Model, window: TrainingRows, windowRows: number) => Float64Array;
  readonly details: (model: Model) => FittedModel['details'];
};

/**
 * Returns an algorithm for classes or qualities.
 *
 * - Graph input `window`: float32 [batch, windowRows, tags], engineering units, oldest row first.
 * - Graph output `score`: float32 [batch], the quality in its own unit; for a classification see `addClassOutputs`.
 */
export function labelledAlgorithm<Model extends { readonly temperature: number }>(
  parts: LabelledParts<Model>,
): TrainingAlgorithm {
  const { name, description, tasks, explain } = parts;
  const fit = async (input: TrainingInput): Promise<FittedModel> => {
    const rows = labelledFeatures(input, input.windowRows ?? LABELLED_WINDOW_ROWS);
    const { windowRows, classes } = rows;
    const model = parts.fit(rows, input);
    return {
      windowRows,
      graph: () => {
        const graph = new OnnxGraph(name);
        const window = graph.input('window', ['batch', windowRows, rows.tags]);
        const outputs = parts.addOutputs(graph, addWindowFeatures(graph, window, windowRows), model, rows);
        if (classes > 0) addClassOutputs(graph, outputs, classes, model.temperature);
        else
          graph.output('score', graph.node('Squeeze', 'quality', [outputs, graph.integers('output_axis', [1])]), [
            'batch',
          ]);
        return graph.bytes();
      },
      judge: (judged) => {
        const outputs = parts.outputs(model, windowFeatures(judged, windowRows));
        return classes > 0 ? classified(outputs, classes, model.temperature) : { scores: outputs };
      },
      explain: explain === undefined ? undefined : (window) => explain(model, window, windowRows),
      details: {
        ...parts.details(model),
        ...(classes > 0 ? { temperature: rounded(model.temperature, 4) } : {}),
      },
      warnings: [],
    };
  };
  return { name, description, tasks, rowsMin: LABELLED_ROWS_MIN, fit };
}

/**
 * Returns scores and probabilities for logits, as `addClassOutputs` does.
 *
 * @param logits Shape [rows, classes].
 */
function classified(logits: Float64Array, classes: number, temperature: number): Judged {
  const probabilities = softmax(logits, classes, temperature);
  const scores = Float64Array.from({ length: probabilities.length / classes }, (_, row) => {
    let sum = 0;
    for (let index = 1; index < classes; index += 1) sum += probabilities[row * classes + index] ?? 0;
    return sum;
  });
  return { scores, probabilities };
}
