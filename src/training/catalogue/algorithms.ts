import { trainingFailure } from '../core/training-errors.ts';
import type { TrainingAlgorithm, TrainingTask } from '../core/algorithm.ts';
import { boostedTreesAlgorithm } from '../boosted-trees/boosted-trees.ts';
import { controlChartAlgorithm } from '../control-chart/control-chart.ts';
import { mlpAlgorithm } from '../mlp/mlp.ts';
import { ridgeAlgorithm } from '../ridge/ridge.ts';
import { softmaxAlgorithm } from '../softmax/softmax.ts';
import { wpcaAlgorithm } from '../wpca/wpca-detector.ts';

/** Every way to learn. Of those that have a task, the first is preferred. */
export const algorithms: readonly TrainingAlgorithm[] = [
  wpcaAlgorithm,
  controlChartAlgorithm,
  boostedTreesAlgorithm,
  ridgeAlgorithm,
  softmaxAlgorithm,
  mlpAlgorithm,
];

/**
 * Returns the algorithms to choose from, the preferred one first: the named one alone; for anomalies the control chart
 * for one tag and WPCA for more; for qualities and classes all that have the task.
 *
 * @throws {OperatingError} 'training-algorithm-unknown' (reject).
 */
export function candidates(
  task: TrainingTask,
  name: string | undefined,
  tags: number,
): readonly [TrainingAlgorithm, ...(readonly TrainingAlgorithm[])] {
  if (task === 'anomaly' && name === undefined) return [tags === 1 ? controlChartAlgorithm : wpcaAlgorithm];
  const able = algorithms.filter(({ tasks }) => tasks.includes(task));
  const [first, ...others] = able.filter((algorithm) => name === undefined || algorithm.name === name);
  if (first !== undefined) return [first, ...others];
  const names = able.map((algorithm) => algorithm.name).join(', ');
  throw trainingFailure(
    'training-algorithm-unknown',
    `No algorithm '${name ?? ''}' for ${task}; there is ${names === '' ? 'none' : names}`,
  );
}
