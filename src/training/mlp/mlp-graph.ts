import { addClassOutputs } from '../graph/class-graph.ts';
import type { Mlp } from './mlp.ts';
import type { MlpInputs } from './mlp-inputs.ts';
import { OnnxGraph } from '../graph/onnx-graph.ts';
import { addWindowFeatures } from '../graph/window-features-graph.ts';

/**
 * The networks as one graph, from raw values to the score. Layers of all networks go through one multiplication.
 *
 * - `window`: float32 [batch, windowRows, tags], engineering units, oldest row first.
 * - `score`: float32 [batch], the quality in its own unit; of a classification as `addClassOutputs` has it.
 */
export function mlpGraph(
  model: Mlp,
  { windowRows, tags, classes }: { readonly windowRows: number; readonly tags: number; readonly classes: number },
): Uint8Array {
  const graph = new OnnxGraph('mlp');
  const window = graph.input('window', ['batch', windowRows, tags]);
  let values = addInputs(graph, addWindowFeatures(graph, window, windowRows), model.inputs);
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
  const mean = graph.node('ReduceMean', 'members_mean', [values], { axes: [0], keepdims: 0 });
  if (classes > 0) {
    addClassOutputs(graph, mean, classes, model.temperature);
    return graph.bytes();
  }
  const scaled = graph.node('Mul', 'scaled', [mean, graph.floats('quality_scale', [], [model.scale])]);
  const quality = graph.node('Add', 'quality', [scaled, graph.floats('quality_offset', [], [model.offset])]);
  graph.output('score', graph.node('Squeeze', 'prediction', [quality, graph.integers('output_axis', [1])]), ['batch']);
  return graph.bytes();
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
