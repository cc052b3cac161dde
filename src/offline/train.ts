import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { formatModelReference } from '../domain/model/model-reference.ts';
import type { Deps } from '../platform/deps.ts';
import type { TrainingTask } from '../training/core/algorithm.ts';
import { algorithms, candidates } from '../training/catalogue/algorithms.ts';
import { chooseAlgorithm, type TrainingStage } from '../training/report/algorithm-choice.ts';
import type { DataFinding } from '../training/report/data-check.ts';
import { inNoOrder } from '../training/core/labelled-rows.ts';
import type { Decision, ModelDraft } from '../training/report/model-draft.ts';
import { writeModel } from '../training/report/model-writer.ts';
import {
  anomalyDecision,
  classificationDecision,
  type TrainedModel,
  trainModel,
} from '../training/report/train-model.ts';
import { trainingReport } from '../training/report/training-report.ts';
import type { AgentConfig } from '../config/config-schema.ts';
import { probeModels } from './model-probe.ts';
import { packageVersion } from '../platform/package-files.ts';
import type { RecordedRows } from './recorded-feed.ts';
import { type ReadRows, readTrainingRows } from './training-rows-reader.ts';
import { trainingFailure } from '../training/core/training-errors.ts';

export type TrainOrder = RecordedRows & {
  readonly labelled: boolean;
  /** Default: the first task of the algorithm; without an algorithm, anomaly. */
  readonly task: TrainingTask | undefined;
  /** Undefined tries those of the task and takes the best. */
  readonly algorithm: string | undefined;
  /** Decision line of a regression, in the unit of the label. */
  readonly limit: { readonly threshold: number; readonly abnormal: 'above' | 'below' } | undefined;
  readonly windowRows?: number | undefined;
  /** True to train on fewer rows than the algorithm advises. */
  readonly force?: boolean;
  readonly onProgress: (stage: 'reading' | TrainingStage, done: number) => void;
};

export type TrainResult = {
  readonly read: ReadRows;
  readonly trained: TrainedModel;
  readonly algorithm: string;
  readonly task: TrainingTask;
};

/**
 * Reads, checks and fits; writes nothing. The same rows and the same version of andon give the same bytes.
 *
 * @throws {OperatingError} 'training-…' and 'csv-…' (reject).
 */
export async function trainFromRecording(order: TrainOrder): Promise<TrainResult> {
  const { binding, onProgress } = order;
  const task = taskOf(order);
  const able = candidates(task, order.algorithm, binding.tags.length);
  if (task !== 'anomaly' && !order.labelled)
    throw trainingFailure(
      'training-labels-invalid',
      `A ${task} is learned from labelled rows: name the column with --label`,
    );
  const rows = await readTrainingRows({ ...order, task, onProgress: (done) => onProgress('reading', done) });
  // Rows without times that are judged alone are independent samples: their order has no meaning.
  const areSamples = task !== 'anomaly' && !order.recording.hasTimes && (order.windowRows ?? 1) === 1;
  const read = areSamples
    ? {
        ...rows,
        ...inNoOrder(rows, SEED),
        timesMs: undefined,
        findings: rows.findings.filter(({ kind }) => !findingsInTime.has(kind)),
      }
    : rows;
  const { mode, tags, window } = binding.watch;
  const { stepMs } = window;
  const facts = {
    ...read,
    task,
    tags: binding.tags.map(({ name, unit }) => ({ name, unit })),
    stepMs: stepMs === 'scan' ? undefined : stepMs,
    decision: decisionFor(task, order, read),
    normalTimes: order.recording.marked.filter(({ label }) => label === 'normal'),
    windowRows: areSamples ? 1 : order.windowRows,
    force: order.force ?? false,
    onProgress,
  };
  const { algorithm, assessment, compared } = await chooseAlgorithm(facts, able);
  const trained = await trainModel({
    ...facts,
    algorithm,
    assessment,
    description: `${algorithm.name} for watch ${binding.id}, trained on ${read.rowsRead} rows of ${order.recording.name}`,
    modeColumn: mode === undefined ? undefined : tags.indexOf(mode.tag),
    provenance: {
      andon: packageVersion,
      ...read.provenance,
      findings: read.findings.map(({ tag, message }) => (tag === undefined ? message : `${tag}: ${message}`)),
      ...(areSamples ? { order: `samples without times, in an order of chance (seed ${SEED})` } : {}),
      ...(task === 'classification' ? { classes: read.classes } : {}),
      ...(compared === undefined ? {} : { compared }),
    },
  });
  const report = trainingReport(trained, {
    ...read,
    task,
    algorithm: algorithm.name,
    tags: binding.tags,
    compared,
  });
  return { read, trained: { ...trained, draft: { ...trained.draft, report } }, algorithm: algorithm.name, task };
}

export type WrittenModel = {
  /** `NAME@VERSION`. */
  readonly model: string;
  readonly version: number;
  /** Execution provider that the graph was tried on. */
  readonly provider: string | undefined;
};

/**
 * Writes the next version and proves it in the runtime with its golden vectors; does not activate or sign it.
 *
 * @throws {OperatingError} 'model-not-written' (retry), 'model-not-proven' (reject).
 */
export async function writeTrainedModel(
  models: AgentConfig['models'],
  name: string,
  draft: ModelDraft,
  deps: Deps,
): Promise<WrittenModel> {
  const version = await writeModel(models.directory, name, draft);
  const model = formatModelReference({ name, version });
  // The new version is tested without a signature: it is signed only after this test.
  const [status] = await probeModels({ ...models, trust: undefined }, [{ name, version }], deps);
  if (status?.state === 'ready') return { model, version, provider: status.provider };
  await rm(join(models.directory, name, String(version)), { recursive: true, force: true });
  throw trainingFailure(
    'model-not-proven',
    `${model} was not kept: the runtime does not reproduce the fit: ${status?.reason ?? 'it was not loaded'}`,
  );
}

function taskOf({ task, algorithm }: TrainOrder): TrainingTask {
  if (task !== undefined) return task;
  if (algorithm === undefined) return 'anomaly';
  const found = algorithms.find(({ name }) => name === algorithm);
  // The lookup for the task refuses an unknown name and lists the known ones.
  return found?.tasks[0] ?? 'anomaly';
}

/** Returns the decision line. A regression without a limit is abnormal below the measured range. */
function decisionFor(task: TrainingTask, order: TrainOrder, read: ReadRows): Decision {
  switch (task) {
    case 'anomaly':
      return anomalyDecision;
    case 'classification':
      return classificationDecision;
    case 'regression': {
      const { low, high } = measuredRange(read);
      const { threshold, abnormal } = order.limit ?? { threshold: low, abnormal: 'below' };
      return { threshold, abnormal, deadband: (high - low) * DEADBAND_SHARE };
    }
  }
}

/** Findings that need consecutive rows. */
const findingsInTime: ReadonlySet<DataFinding['kind']> = new Set(['spikes', 'stuck', 'regime']);

/** Seed of the order of independent samples. */
const SEED = 1;

/** Dead band of a regression, as a share of the range that was measured. */
const DEADBAND_SHARE = 0.02;

function measuredRange({ targets = [] }: ReadRows) {
  let low = Infinity;
  let high = -Infinity;
  for (const segment of targets)
    for (const value of segment) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  if (low <= high) return { low, high };
  throw trainingFailure('training-labels-invalid', 'No row has a label that is a number');
}
