import type { TrainingProgress } from '../contracts/models/model-trainings.ts';
import type { TrainingJob, TrainedVersion } from '../learning/training-job.ts';
import type { Deps } from '../platform/deps.ts';
import { watchHistory } from './history-recording.ts';
import { compareOnMarked, withComparison } from './marked-comparison.ts';
import { parseRowRange } from './recording.ts';
import { trainFromRecording, writeTrainedModel } from './train.ts';

/**
 * Trains the default anomaly model of a watch from the history and writes it as a new version.
 *
 * @throws {OperatingError} 'training-…', 'history-…', 'model-not-proven' (reject); 'model-not-written' (retry).
 */
export async function runTrainingJob(
  job: TrainingJob,
  deps: Deps,
  onProgress: (progress: TrainingProgress) => void,
): Promise<TrainedVersion> {
  const { watch: id, config: watch, tags, models, outboxPath, fromMs, toMs } = job;
  const binding = { id, watch, tags };
  const recording = watchHistory(binding, outboxPath, { fromMs, toMs }, 'train');
  const result = await trainFromRecording({
    binding,
    recording,
    range: parseRowRange(undefined),
    pacing: 'times',
    labelled: false,
    task: 'anomaly',
    algorithm: undefined,
    limit: undefined,
    force: job.force,
    onProgress: (stage, done) => onProgress({ stage, done }),
  });
  onProgress({ stage: 'proving', done: undefined });
  const { draft, warnings } = result.trained;
  const comparison = await compareOnMarked({ binding, models, outboxPath, marked: recording.marked, draft, deps });
  const compared = withComparison(draft, comparison);
  const { version } = await writeTrainedModel(models, watch.model.name, compared, deps);
  return { version, warnings, metrics: draft.manifest.metrics ?? {}, comparison };
}
