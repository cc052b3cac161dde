import { SeededDraws } from '../../domain/seeded-draws.ts';
import type { TrainingInput } from '../core/algorithm.ts';
import { fitTemperature, meanLoss } from '../core/calibration.ts';
import { type Fold, folds, type LabelledFeatures } from '../core/labelled-features.ts';
import { concatenated, mean, moments } from '../core/statistics.ts';
import type { FeatureRows } from '../core/window-features.ts';
import { encodeInputs, fitInputs, type MlpInputs } from './mlp-inputs.ts';
import {
  finishedNetwork,
  type Network,
  networkOutputs,
  NetworkTrainer,
  type OutputScale,
  startingNetwork,
} from './mlp-network.ts';
import { labelledAlgorithm } from '../graph/labelled-algorithm.ts';
import type { OnnxGraph } from '../graph/onnx-graph.ts';

/** A small multilayer perceptron, for classes and for qualities. */
export const mlpAlgorithm = labelledAlgorithm<Mlp>({
  name: 'mlp',
  description: 'learns from labelled rows with a few small neural networks; smooth, unlike the steps of trees',
  tasks: ['classification', 'regression'],
  fit: fitMlp,
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

/** Outputs of the hidden layers. */
const HIDDEN = [128, 64] as const;
const BATCH_ROWS = 64;
const EPOCHS_MAX = 60;
/** Epochs without a better loss on held-out rows after which no better one is expected. */
const PATIENCE_EPOCHS = 10;
/** Bounds the time of a fit: with many rows there are fewer epochs. */
const ROW_VISITS_MAX = 600_000;

/** Some networks that each held out another part of the rows; the output is the mean of theirs. */
export type Mlp = {
  readonly inputs: MlpInputs;
  readonly members: readonly Network[];
  /** Calibration of a classification; 1 for a regression. */
  readonly temperature: number;
  readonly epochs: readonly number[];
};

/**
 * Fits one network for each fold and stops each one at the best prediction of its held-out rows.
 *
 * Their mean is better than each of them, and every labelled row trains all networks except one.
 *
 * @see Krogh and Vedelsby, Neural Network Ensembles, Cross Validation, and Active Learning, NeurIPS 1994.
 */
function fitMlp(rows: LabelledFeatures, { seed, onProgress }: TrainingInput): Mlp {
  const inputs = fitInputs(rows);
  const scale = targetScale(rows);
  const scaled = { ...rows, targets: rows.targets.map((target) => (target - scale.offset) / scale.factor) };
  const splits = folds(scaled);
  const fitted = splits.map((fold, index) => {
    const member = fitMember({ ...fold, inputs, seed: seed + index, scale });
    onProgress((index + 1) / splits.length);
    return member;
  });
  const labels = concatenated(fitted.map(({ heldOut }) => heldOut.targets));
  return {
    inputs,
    members: fitted.map(({ network }) => network),
    temperature: fitTemperature(concatenated(fitted.map(({ outputs }) => outputs)), labels, rows.classes),
    epochs: fitted.map(({ epochs }) => epochs),
  };
}

/** The mean of the networks for every row, before any temperature: logits, or the quality. Shape [rows, outputs]. */
function mlpOutputs({ inputs, members }: Mlp, rows: FeatureRows): Float64Array {
  const encoded = encodeInputs(inputs, rows);
  const outputs = members.map((network) => networkOutputs(network, encoded, rows.count));
  return (outputs[0] ?? new Float64Array()).map((_, index) => mean(outputs.map((values) => values[index] ?? 0)));
}

type MemberFit = Fold & {
  readonly inputs: MlpInputs;
  readonly seed: number;
  readonly scale: OutputScale;
};

type BestEpoch = {
  readonly loss: number;
  readonly epochs: number;
  readonly network: Network;
  readonly outputs: Float64Array;
};

function fitMember({ fit, heldOut, inputs, seed, scale }: MemberFit) {
  const draws = new SeededDraws(seed);
  const encoded = encodeInputs(inputs, fit);
  const heldOutEncoded = encodeInputs(inputs, heldOut);
  const width = inputs.features * inputs.perFeature;
  const network = startingNetwork([width, ...HIDDEN, Math.max(fit.classes, 1)], draws);
  const trainer = new NetworkTrainer(network, draws);
  const epochsMax = Math.max(1, Math.min(EPOCHS_MAX, Math.ceil(ROW_VISITS_MAX / fit.count)));
  const order = Int32Array.from({ length: fit.count }, (_, row) => row);
  let best: BestEpoch = { loss: Number.POSITIVE_INFINITY, epochs: 0, network, outputs: new Float64Array() };
  for (let epoch = 1; epoch <= epochsMax && epoch - best.epochs <= PATIENCE_EPOCHS; epoch += 1) {
    draws.shuffle(order);
    for (let from = 0; from < fit.count; from += BATCH_ROWS) {
      const batch = order.subarray(from, from + BATCH_ROWS);
      const values = new Float64Array(batch.length * width);
      batch.forEach((row, at) => values.set(encoded.subarray(row * width, (row + 1) * width), at * width));
      const targets = Float64Array.from(batch, (row) => fit.targets[row] ?? 0);
      trainer.step(values, targets, fit.classes, 1 - (0.9 * (epoch - 1)) / epochsMax);
    }
    const outputs = networkOutputs(network, heldOutEncoded, heldOut.count);
    const loss = meanLoss(outputs, heldOut);
    if (loss < best.loss) best = { loss, epochs: epoch, network: finishedNetwork(network, scale), outputs };
  }
  return { ...best, heldOut };
}

/** Mean and deviation of the quality; a class needs neither. */
function targetScale({ targets, classes }: LabelledFeatures): OutputScale {
  if (classes > 0) return { offset: 0, factor: 1 };
  const { mean: offset, deviation } = moments(targets);
  return { offset, factor: deviation < 1e-12 ? 1 : deviation };
}
