import type { ModelReference } from '../domain/model/model-reference.ts';
import { algorithms } from '../training/catalogue/algorithms.ts';
import type { TrainingAlgorithm, TrainingTask } from '../training/core/algorithm.ts';
import type { TrainingRows } from '../training/core/training-rows.ts';
import { writeModel } from '../training/report/model-writer.ts';
import { anomalyDecision, classificationDecision, trainModel } from '../training/report/train-model.ts';

const ROWS = 700;
const TAGS = ['load', 'flow', 'temperature'];
/** Parameters of the linear congruential generator of Numerical Recipes, chapter 7.1. */
const [FACTOR, SUMMAND, MODULUS] = [1_664_525, 1_013_904_223, 2 ** 32];

/**
 * Trains one small model of each algorithm and task of `andon train`, and writes them to a model directory: each operator
 * that andon's own models use is in one of them.
 *
 * @param chosen By default all.
 */
export async function writeFamilyModels(
  directory: string,
  chosen: readonly TrainingAlgorithm[] = algorithms,
): Promise<readonly ModelReference[]> {
  const models: ModelReference[] = [];
  for (const algorithm of chosen)
    for (const task of algorithm.tasks) {
      const name = algorithm.tasks.length === 1 ? algorithm.name : `${algorithm.name}-${task}`;
      const { draft } = await trainModel(orderFor(algorithm, task));
      models.push({ name, version: await writeModel(directory, name, draft) });
    }
  return models;
}

function orderFor(algorithm: TrainingAlgorithm, task: TrainingTask) {
  // The control chart is for one tag.
  const names = algorithm.name === 'control-chart' ? TAGS.slice(0, 1) : TAGS;
  const rows = machineRows(names.length);
  const load = Float64Array.from({ length: ROWS }, (_, row) => rows.values[row * names.length] ?? 0);
  const decisions = {
    anomaly: anomalyDecision,
    classification: classificationDecision,
    regression: { threshold: 90, abnormal: 'below', deadband: 1, unit: '%' },
  } as const;
  const targets = {
    anomaly: undefined,
    classification: [load.map((value) => (value > 105 ? 1 : 0))],
    regression: [load],
  };
  return {
    task,
    algorithm,
    segments: [rows],
    targets: targets[task],
    classes: task === 'classification' ? ['normal', 'high load'] : [],
    tags: names.map((name) => ({ name, unit: '' })),
    stepMs: 1000,
    description: 'A model for the check of execution providers',
    decision: decisions[task],
    provenance: { data: 'simulated machine' },
  };
}

/** A load that drifts around 100, and tags that follow it with a delay. The same at each call. */
function machineRows(tags: number): TrainingRows {
  let state = 1;
  const noise = () => {
    state = (state * FACTOR + SUMMAND) % MODULUS;
    return state / MODULUS - 0.5;
  };
  const values = new Float64Array(ROWS * tags);
  const follow = Array.from({ length: tags }, () => 0);
  for (let row = 0; row < ROWS; row += 1)
    for (let tag = 0; tag < tags; tag += 1) {
      const before = follow[tag] ?? 0;
      follow[tag] = tag === 0 ? before * 0.95 + noise() : before + ((follow[0] ?? 0) - before) / (3 * tag);
      values[row * tags + tag] = 100 + 8 * (follow[tag] ?? 0) + noise() * 0.2;
    }
  return { count: ROWS, tags, values };
}
