import type { OnnxGraph } from './onnx-graph.ts';

/**
 * Adds the outputs of a classification.
 *
 * - `probabilities`: float32 [batch, classes], calibrated.
 * - `label`: int64 [batch], index of the likeliest class.
 * - `score`: float32 [batch], probability that the class is not the first, normal one.
 *
 * @param logits Float32 [batch, classes].
 */
export function addClassOutputs(graph: OnnxGraph, logits: string, classes: number, temperature: number): void {
  const tempered = graph.node('Div', 'tempered', [logits, graph.floats('temperature', [], [temperature])]);
  const probabilities = graph.node('Softmax', 'class_probabilities', [tempered], { axis: 1 });
  const others = graph.node('Slice', 'abnormal_probabilities', [
    probabilities,
    graph.integers('abnormal_from', [1]),
    graph.integers('abnormal_to', [classes]),
    graph.integers('class_axis', [1]),
  ]);
  const axis = graph.integers('abnormal_axis', [1]);
  graph.output('score', graph.node('ReduceSum', 'abnormal', [others, axis], { keepdims: 0 }), ['batch']);
  graph.output('probabilities', probabilities, ['batch', classes]);
  const label = graph.node('ArgMax', 'likeliest', [probabilities], { axis: 1, keepdims: 0 });
  graph.output('label', label, ['batch'], 'int64');
}
