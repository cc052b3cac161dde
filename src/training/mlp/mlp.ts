import { fitTemperature, logLoss } from '../core/calibration.ts';
import { type Fold, folds, type LabelledFeatures, pickRows } from '../core/labelled-features.ts';
import { encodeInputs, fitInputs, type MlpInputs } from './mlp-inputs.ts';
import {
  type Network,
  networkOutputs,
  NetworkTrainer,
  roundedNetwork,
  startingNetwork,
  type StepSettings,
} from './mlp-network.ts';
import { SeededDraws } from '../../domain/seeded-draws.ts';
import type { FeatureRows } from '../core/window-features.ts';

export type MlpSettings = StepSettings & {
  readonly hidden: readonly number[];
  readonly batchRows: number;
  readonly epochsMax: number;
  /** Epochs without a better loss on held-out rows after which no better one is expected. */
  readonly patienceEpochs: number;
  /** Bounds the time of a fit: with many rows there are fewer epochs. */
  readonly rowVisitsMax: number;
};

export const mlpSettings: MlpSettings = {
  hidden: [128, 64],
  learningRate: 2e-3,
  weightDecay: 0.05,
  dropout: 0.3,
  batchRows: 64,
  epochsMax: 60,
  patienceEpochs: 10,
  rowVisitsMax: 600_000,
};

/** Some networks that each held out another part of the rows; the output is the mean of theirs. */
export type Mlp = {
  readonly inputs: MlpInputs;
  readonly members: readonly Network[];
  /** Scaling of a regression to the unit of the quality: output · scale + offset. Both float32. */
  readonly offset: number;
  readonly scale: number;
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
export function fitMlp(
  rows: LabelledFeatures,
  seed: number,
  settings: MlpSettings = mlpSettings,
  onProgress: (share: number) => void = () => undefined,
): Mlp {
  const inputs = fitInputs(rows);
  const { offset, scale } = targetScale(rows);
  const scaled = { ...rows, targets: rows.targets.map((target) => (target - offset) / scale) };
  const splits = folds(rows);
  const fitted = splits.map((fold, index) => {
    const member = fitMember({ rows: scaled, inputs, fold, seed: seed + index, settings });
    onProgress((index + 1) / splits.length);
    return member;
  });
  const labels = Float64Array.from(fitted.flatMap(({ heldOut }) => [...heldOut.targets]));
  const logits = Float64Array.from(fitted.flatMap(({ outputs }) => [...outputs]));
  return {
    inputs,
    members: fitted.map(({ network }) => network),
    offset,
    scale,
    temperature: rows.classes === 0 ? 1 : fitTemperature(logits, labels, rows.classes),
    epochs: fitted.map(({ epochs }) => epochs),
  };
}

/** The mean of the networks for every row, before any temperature: logits, or the quality. Shape [rows, outputs]. */
export function mlpOutputs({ inputs, members, offset, scale }: Mlp, rows: FeatureRows): Float64Array {
  const encoded = encodeInputs(inputs, rows);
  const outputs = members.map((network) => networkOutputs(network, encoded, rows.count));
  return (outputs[0] ?? new Float64Array()).map((_, index) => {
    const sum = outputs.reduce((total, values) => total + (values[index] ?? 0), 0);
    return (sum / members.length) * scale + offset;
  });
}

type MemberFit = {
  readonly rows: LabelledFeatures;
  readonly inputs: MlpInputs;
  readonly fold: Fold;
  readonly seed: number;
  readonly settings: MlpSettings;
};

type Stop = {
  readonly loss: number;
  readonly epochs: number;
  readonly network: Network;
  readonly outputs: Float64Array;
};

function fitMember({ rows, inputs, fold, seed, settings }: MemberFit) {
  const draws = new SeededDraws(seed);
  const fit = pickRows(rows, fold.fit);
  const heldOut = pickRows(rows, fold.heldOut);
  const fitInputsEncoded = encodeInputs(inputs, fit);
  const heldOutEncoded = encodeInputs(inputs, heldOut);
  const width = inputs.features * inputs.perFeature;
  const network = startingNetwork([width, ...settings.hidden, Math.max(rows.classes, 1)], draws);
  const trainer = new NetworkTrainer(network, settings, draws);
  const epochsMax = Math.max(1, Math.min(settings.epochsMax, Math.ceil(settings.rowVisitsMax / fit.count)));
  const order = Int32Array.from({ length: fit.count }, (_, row) => row);
  let best: Stop = { loss: Number.POSITIVE_INFINITY, epochs: 0, network, outputs: new Float64Array() };
  for (let epoch = 1; epoch <= epochsMax && epoch - best.epochs <= settings.patienceEpochs; epoch += 1) {
    draws.shuffle(order);
    for (let from = 0; from < fit.count; from += settings.batchRows) {
      const batch = order.subarray(from, from + settings.batchRows);
      const values = new Float64Array(batch.length * width);
      batch.forEach((row, at) => values.set(fitInputsEncoded.subarray(row * width, (row + 1) * width), at * width));
      const targets = Float64Array.from(batch, (row) => fit.targets[row] ?? 0);
      trainer.step(values, targets, rows.classes, 1 - (0.9 * (epoch - 1)) / epochsMax);
    }
    const outputs = networkOutputs(network, heldOutEncoded, heldOut.count);
    const loss = lossOf(outputs, heldOut);
    if (loss < best.loss) best = { loss, epochs: epoch, network: roundedNetwork(network), outputs };
  }
  return { ...best, heldOut };
}

function lossOf(outputs: Float64Array, { targets, classes }: LabelledFeatures): number {
  if (classes > 0) return logLoss(outputs, targets, classes);
  return outputs.reduce((sum, output, row) => sum + (output - (targets[row] ?? 0)) ** 2, 0) / targets.length;
}

/** Mean and deviation of the quality; a class needs neither. */
function targetScale({ targets, classes, count }: LabelledFeatures) {
  if (classes > 0) return { offset: 0, scale: 1 };
  const mean = targets.reduce((sum, target) => sum + target, 0) / count;
  const deviation = Math.sqrt(targets.reduce((sum, target) => sum + (target - mean) ** 2, 0) / count);
  return { offset: Math.fround(mean), scale: deviation < 1e-12 ? 1 : Math.fround(deviation) };
}
