import type { TrainingProgress } from '../contracts/models/model-trainings.ts';
import type { TrainingJob, TrainedVersion } from '../learning/training-job.ts';
import type { Deps } from '../platform/deps.ts';
import { historyRecording } from './history-recording.ts';
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
  const { stepMs } = watch.window;
  const result = await trainFromRecording({
    binding: { id, watch, tags },
    recording: historyRecording({
      outboxPath,
      tags: watch.tags,
      fromMs,
      toMs,
      stepMs: stepMs === 'scan' ? undefined : stepMs,
    }),
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
  const { version } = await writeTrainedModel(models, watch.model.name, result, deps);
  return { version, warnings: result.trained.warnings, metrics: result.trained.draft.manifest.metrics ?? {} };
}
