import { trainingFailure } from '../core/training-errors.ts';
import type { TrainingAlgorithm, TrainingTask } from '../core/algorithm.ts';
import { boostedTreesAlgorithm } from '../boosted-trees/boosted-trees.ts';
import { controlChartAlgorithm } from '../control-chart/control-chart.ts';
import { mlpAlgorithm } from '../mlp/mlp.ts';
import { ridgeAlgorithm } from '../ridge/ridge.ts';
import { softmaxAlgorithm } from '../softmax/softmax.ts';
import { wpcaAlgorithm } from '../wpca/wpca-detector.ts';

/** Every way to learn; the first that has a task is its default. */
export const algorithms: readonly TrainingAlgorithm[] = [
  wpcaAlgorithm,
  controlChartAlgorithm,
  ridgeAlgorithm,
  softmaxAlgorithm,
  boostedTreesAlgorithm,
  mlpAlgorithm,
];

/**
 * @param name Undefined takes the default of the task.
 * @throws {OperatingError} 'training-algorithm-unknown' (reject).
 */
export function algorithmFor(task: TrainingTask, name: string | undefined): TrainingAlgorithm {
  const able = algorithms.filter(({ tasks }) => tasks.includes(task));
  const found = able.find((algorithm) => name === undefined || algorithm.name === name);
  if (found !== undefined) return found;
  const names = able.map((algorithm) => algorithm.name).join(', ');
  throw trainingFailure(
    'training-algorithm-unknown',
    `No algorithm '${name ?? ''}' for ${task}; there is ${names === '' ? 'none' : names}`,
  );
}
