import { fitTemperature, logLoss, softmax } from '../core/calibration.ts';
import { binFeatures, type FeatureBins } from './feature-bins.ts';
import { type Fold, folds, type LabelledFeatures, pickRows } from '../core/labelled-features.ts';
import { addTree, addTreeOnBins, growTree, type RegressionTree, type TreeSettings } from './regression-tree.ts';
import { SeededDraws } from '../../domain/seeded-draws.ts';
import type { FeatureRows } from '../core/window-features.ts';

export type BoostingSettings = TreeSettings & {
  /** Shares of rows and features drawn in each round. */
  readonly rowShare: number;
  readonly featureShare: number;
  readonly roundsMax: number;
  /** Rounds on all rows for each that a fold was best after: a fold has a fifth fewer rows, and is tried on other days. */
  readonly roundsOnAll: number;
  /** Rounds without a better loss on held-out rows after which no better one is expected. */
  readonly patienceRounds: number;
};

export const boostingSettings: BoostingSettings = {
  leavesMax: 16,
  rowsPerLeafMin: 5,
  curvatureMin: 1e-3,
  l2: 1,
  learningRate: 0.05,
  rowShare: 0.8,
  featureShare: 0.7,
  roundsMax: 500,
  roundsOnAll: 1.6,
  patienceRounds: 25,
};

/** Sum of trees for each output: the logits of the classes, or the quality. */
export type BoostedTrees = {
  readonly outputs: number;
  /** Start values of the sums; float32. */
  readonly base: Float64Array;
  /** Tree i adds to output i mod outputs. */
  readonly trees: readonly RegressionTree[];
  /** 1 for a regression. */
  readonly temperature: number;
  readonly rounds: number;
};

/**
 * Boosts trees: rounds are counted on folds, then all rows are learned from for as many.
 *
 * @see Friedman, Greedy Function Approximation: A Gradient Boosting Machine, Annals of Statistics 29(5), 2001.
 */
export function fitBoostedTrees(
  rows: LabelledFeatures,
  seed: number,
  settings: BoostingSettings = boostingSettings,
  onProgress: (share: number) => void = () => undefined,
): BoostedTrees {
  const trials = folds(rows).map((fold, index) => new Trial(rows, fold, seed + 1 + index, settings));
  let best = { loss: Number.POSITIVE_INFINITY, rounds: 0, sums: trials.map((trial) => trial.sums) };
  for (let round = 1; round <= settings.roundsMax && round - best.rounds <= settings.patienceRounds; round += 1) {
    for (const trial of trials) trial.addRound();
    const loss = trials.reduce((sum, trial) => sum + trial.loss() * trial.heldOut.count, 0);
    if (loss < best.loss) best = { loss, rounds: round, sums: trials.map((trial) => trial.sums.slice()) };
    onProgress((0.8 * round) / settings.roundsMax);
  }
  const boosting = new Boosting(rows, seed, settings);
  while (boosting.rounds < best.rounds * settings.roundsOnAll) boosting.addRound();
  onProgress(1);
  const labels = trials.flatMap((trial) => [...trial.heldOut.targets]);
  const logits = best.sums.flatMap((sums) => [...sums]);
  return {
    outputs: boosting.outputs,
    base: boosting.base,
    trees: boosting.trees,
    temperature:
      rows.classes === 0 ? 1 : fitTemperature(Float64Array.from(logits), Float64Array.from(labels), rows.classes),
    rounds: boosting.rounds,
  };
}

/** The outputs of every row, before any temperature; shape [rows, outputs]. */
export function boostedSums({ outputs, base, trees }: BoostedTrees, rows: FeatureRows): Float64Array {
  const sums = startingSums(base, rows.count);
  trees.forEach((tree, index) => addTree(tree, rows, sums, { stride: outputs, offset: index % outputs }));
  return sums;
}

/** Trees that grow on some rows. */
class Boosting {
  readonly trees: RegressionTree[] = [];
  readonly outputs: number;
  readonly base: Float64Array;
  readonly #rows: LabelledFeatures;
  readonly #settings: BoostingSettings;
  readonly #draws: SeededDraws;
  readonly #bins: FeatureBins;
  readonly #sums: Float64Array;
  readonly #everyRow: Int32Array;
  readonly #everyFeature: Int32Array;

  constructor(rows: LabelledFeatures, seed: number, settings: BoostingSettings) {
    this.#rows = rows;
    this.#settings = settings;
    this.#draws = new SeededDraws(seed);
    this.#bins = binFeatures(rows);
    this.outputs = Math.max(rows.classes, 1);
    this.base = startingPoint(rows);
    this.#sums = startingSums(this.base, rows.count);
    this.#everyRow = Int32Array.from({ length: rows.count }, (_, row) => row);
    this.#everyFeature = Int32Array.from({ length: rows.features }, (_, feature) => feature);
  }

  get rounds(): number {
    return this.trees.length / this.outputs;
  }

  /** Adds a tree for each output, all on the same derivatives. */
  addRound(): readonly RegressionTree[] {
    const { rowShare, featureShare } = this.#settings;
    const { count, features } = this.#rows;
    const sampled = this.#draws.sample(this.#everyRow, Math.ceil(count * rowShare));
    const derivatives = this.#derivatives();
    const grown = derivatives.map(({ gradients, curvatures }) => {
      const chosen = this.#draws.sample(this.#everyFeature, Math.ceil(features * featureShare));
      const growth = { bins: this.#bins, features: chosen, gradients, curvatures, settings: this.#settings };
      return growTree(growth, sampled);
    });
    grown.forEach((tree, offset) => addTreeOnBins(tree, this.#bins, this.#sums, { stride: this.outputs, offset }));
    this.trees.push(...grown);
    return grown;
  }

  #derivatives(): readonly { readonly gradients: Float64Array; readonly curvatures: Float64Array }[] {
    const { targets, classes, count } = this.#rows;
    if (classes === 0) {
      const gradients = this.#sums.map((sum, row) => sum - (targets[row] ?? 0));
      return [{ gradients, curvatures: new Float64Array(count).fill(1) }];
    }
    const probabilities = softmax(this.#sums, classes);
    return Array.from({ length: classes }, (_, index) => {
      const chance = (row: number) => probabilities[row * classes + index] ?? 0;
      return {
        gradients: Float64Array.from({ length: count }, (_value, row) => chance(row) - Number(targets[row] === index)),
        // The logits of the classes depend on each other, which makes the curvature K / (K − 1) times as large.
        curvatures: Float64Array.from(
          { length: count },
          (_value, row) => (chance(row) * (1 - chance(row)) * classes) / (classes - 1),
        ),
      };
    });
  }
}

/** A fit on some rows, watched on others. */
class Trial {
  readonly heldOut: LabelledFeatures;
  readonly sums: Float64Array;
  readonly #boosting: Boosting;

  constructor(rows: LabelledFeatures, { fit, heldOut }: Fold, seed: number, settings: BoostingSettings) {
    this.#boosting = new Boosting(pickRows(rows, fit), seed, settings);
    this.heldOut = pickRows(rows, heldOut);
    this.sums = startingSums(this.#boosting.base, this.heldOut.count);
  }

  addRound(): void {
    const { outputs } = this.#boosting;
    this.#boosting
      .addRound()
      .forEach((tree, offset) => addTree(tree, this.heldOut, this.sums, { stride: outputs, offset }));
  }

  /** Mean over the held-out rows: of −ln of the probability, or of the squared error. */
  loss(): number {
    const { targets, classes, count } = this.heldOut;
    if (classes > 0) return logLoss(this.sums, targets, classes);
    return this.sums.reduce((sum, value, row) => sum + (value - (targets[row] ?? 0)) ** 2, 0) / count;
  }
}

/** The logarithm of each class's frequency, or the mean quality. */
function startingPoint({ targets, classes, count }: LabelledFeatures): Float64Array {
  if (classes === 0) return Float64Array.of(Math.fround(targets.reduce((sum, target) => sum + target, 0) / count));
  const counts = new Float64Array(classes);
  for (const target of targets) counts[target] = (counts[target] ?? 0) + 1;
  return counts.map((rows) => Math.fround(Math.log(rows / count)));
}

function startingSums(base: Float64Array, rows: number): Float64Array {
  return Float64Array.from({ length: rows * base.length }, (_, index) => base[index % base.length] ?? 0);
}
