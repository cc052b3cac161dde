import { loadConfig } from '../../config/config-file.ts';
import { compareOnMarked, withComparison } from '../../offline/marked-comparison.ts';
import { trainFromRecording, type TrainResult, writeTrainedModel, type WrittenModel } from '../../offline/train.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import type { TrainingTask } from '../../training/core/algorithm.ts';
import { countRows } from '../../training/core/training-rows.ts';
import { openRegistry } from '../models/open-registry.ts';
import { commandUser } from '../output/command-user.ts';
import type { Output } from '../output/output.ts';
import { systemDeps } from '../../platform/deps.ts';
import { chooseRecording, recordingNotes, type RecordingOptions } from './recording-options.ts';
import { table } from '../output/table.ts';

export type TrainOptions = RecordingOptions & {
  readonly config: string;
  readonly algorithm?: string;
  readonly task?: TrainingTask;
  readonly above?: number;
  readonly below?: number;
  readonly windowRows?: number;
  readonly force?: boolean;
  readonly json?: boolean;
};

/** `andon train`: a new version in the model directory, from a CSV or the box's history; nothing is activated. */
export async function trainCommand(options: TrainOptions, output: Output): Promise<number> {
  const loaded = await loadConfig(options.config);
  const deps = systemDeps();
  const chosen = await chooseRecording(loaded, options, deps.clock.nowMs(), 'train');
  for (const note of recordingNotes(chosen)) output.err(note);
  const beganMs = deps.clock.monotonicMs();
  const result = await trainFromRecording({
    ...chosen,
    labelled: options.label !== undefined,
    task: options.task,
    algorithm: options.algorithm,
    limit: limitOf(options),
    windowRows: options.windowRows,
    force: options.force === true,
    onProgress: progressTo(output, deps.clock),
  });
  const { models, outbox } = loaded.config;
  const { binding, recording } = chosen;
  const { name } = binding.watch.model;
  const { draft } = result.trained;
  const order = { binding, models, outboxPath: outbox.path, marked: recording.marked, draft, deps };
  const comparison = await compareOnMarked(order);
  const written = await writeTrainedModel(models, name, withComparison(draft, comparison), deps);
  await openRegistry(loaded).recordTraining({ name, version: written.version }, commandUser());
  const seconds = (deps.clock.monotonicMs() - beganMs) / 1000;
  if (options.json === true)
    output.out(JSON.stringify({ ...document(result, written, seconds, models.trust !== undefined), comparison }));
  else {
    output.out(summary(result, written, seconds, options.config, models));
    if (comparison !== undefined) output.out(comparison.reason);
  }
  return 0;
}

function limitOf({ above, below }: TrainOptions) {
  if (above !== undefined) return { threshold: above, abnormal: 'above' as const };
  return below === undefined ? undefined : { threshold: below, abnormal: 'below' as const };
}

/** Minimum time between two lines of progress. */
const PROGRESS_INTERVAL_MS = 2000;

function progressTo(output: Output, clock: { monotonicMs(): number }) {
  let lastMs = clock.monotonicMs();
  return (stage: string, done: number): void => {
    if (clock.monotonicMs() - lastMs < PROGRESS_INTERVAL_MS) return;
    lastMs = clock.monotonicMs();
    output.err(stage === 'reading' ? `reading: ${done} rows` : `${stage}: ${Math.round(done * 100)} %`);
  };
}

function document(
  { read, trained, algorithm, task }: TrainResult,
  written: WrittenModel,
  seconds: number,
  mustBeSigned: boolean,
) {
  const { findings, rowsRead, segments } = read;
  return {
    model: written.model,
    version: written.version,
    algorithm,
    task,
    rowsRead,
    rowsFitted: countRows(segments),
    findings,
    metrics: trained.draft.manifest.metrics,
    warnings: trained.warnings,
    provider: written.provider,
    activated: false,
    mustBeSigned,
    seconds,
  };
}

function summary(
  { read, trained, algorithm, task }: TrainResult,
  { model, version, provider }: WrittenModel,
  seconds: number,
  configFile: string,
  { directory, trust }: ModelsConfig,
): string {
  const { findings, rowsRead, segments } = read;
  const { manifest } = trained.draft;
  const metrics = Object.entries(manifest.metrics ?? {}).map(([name, value]) => [name, String(value)]);
  return [
    `${rowsRead} rows read, ${countRows(segments)} fitted on, in ${segments.length} runs without a gap`,
    ...findings.map(({ tag, message }) => `data: ${tag === undefined ? '' : `${tag} `}${message}`),
    `${algorithm} for ${task}: window of ${manifest.window.steps} rows, abnormal ${manifest.abnormal ?? 'above'} ${manifest.threshold}`,
    ...(metrics.length === 0 ? [] : [table(['on held-out rows', ''], metrics)]),
    ...trained.warnings.map((warning) => `warning: ${warning}`),
    `${model} is in ${directory}, proved on ${provider ?? 'no provider'}, after ${seconds.toFixed(1)} s; report.md is in its folder.`,
    ...(trust === undefined
      ? []
      : [`models.trust is set: before it can be used, sign it: andon models sign ${model} -c ${configFile} --key KEY`]),
    `Nothing is activated (version ${version}): andon models activate ${model} -c ${configFile}`,
  ].join('\n');
}
