import { labelledAlgorithm } from '../graph/labelled-algorithm.ts';
import type { OnnxGraph } from '../graph/onnx-graph.ts';
import { fitMlp, HIDDEN, type Mlp, mlpOutputs } from './mlp.ts';
import type { MlpInputs } from './mlp-inputs.ts';

/** A small multilayer perceptron, for classes and for qualities. */
export const mlpAlgorithm = labelledAlgorithm<Mlp>({
  name: 'mlp',
  description: 'learns from labelled rows with a few small neural networks; smooth, unlike the steps of trees',
  tasks: ['classification', 'regression'],
  fit: (rows, { seed, onProgress }) => fitMlp(rows, seed, onProgress),
  outputs: mlpOutputs,
  addOutputs: addNetworks,
  details: ({ members, epochs }) => ({ networks: members.length, hidden: [...HIDDEN], epochs: [...epochs] }),
});

/** Adds the mean of the networks. Layers of all networks go through one multiplication. */
function addNetworks(graph: OnnxGraph, features: string, model: Mlp): string {
  let values = addInputs(graph, features, model.inputs);
  const layers = model.members[0] ?? [];
  layers.forEach(({ inputs, outputs }, index) => {
    const members = model.members.flatMap((network) => network[index] ?? []);
    const weights = members.flatMap((layer) => [...layer.weights]);
    const biases = members.flatMap((layer) => [...layer.biases]);
    const name = `layer_${index + 1}`;
    const product = graph.node('MatMul', `${name}_product`, [
      values,
      graph.floats(`${name}_weights`, [members.length, inputs, outputs], weights),
    ]);
    values = graph.node('Add', name, [product, graph.floats(`${name}_biases`, [members.length, 1, outputs], biases)]);
    if (index + 1 < layers.length) values = graph.node('Relu', `${name}_active`, [values]);
  });
  return graph.node('ReduceMean', 'members_mean', [values], { axes: [0], keepdims: 0 });
}

/** [batch, features] of doubles → [1, batch, features · perFeature] of float32, the one axis for the networks. */
function addInputs(graph: OnnxGraph, values: string, inputs: MlpInputs): string {
  const { features, perFeature, offsets, scales, lows, highs } = inputs;
  const column = graph.node('Unsqueeze', 'feature_column', [values, graph.integers('input_axis', [2])]);
  const shifted = graph.node('Sub', 'shifted', [column, graph.doubles('offsets', [features, perFeature], offsets)]);
  const scaled = graph.node('Mul', 'scaled_inputs', [shifted, graph.doubles('scales', [features, perFeature], scales)]);
  const rounded = graph.cast('inputs_rounded', scaled, 'float32');
  const raised = graph.node('Max', 'inputs_raised', [rounded, graph.floats('lows', [perFeature], lows)]);
  const clamped = graph.node('Min', 'inputs_clamped', [raised, graph.floats('highs', [perFeature], highs)]);
  return graph.node('Reshape', 'inputs', [clamped, graph.integers('inputs_shape', [1, -1, features * perFeature])]);
}
