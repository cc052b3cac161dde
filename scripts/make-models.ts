import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { PumpPlant, type PumpReading } from '../src/plant/pump-plant.ts';
import { demoTimings, foreverNormal, type PumpTimings } from '../src/plant/pump-scenario.ts';
import { seededRandom } from '../src/plant/seeded-random.ts';
import { candidates } from '../src/training/catalogue/algorithms.ts';
import type { ModelDraft } from '../src/training/report/model-draft.ts';
import { modelFiles } from '../src/training/report/model-writer.ts';
import { anomalyDecision, trainModel } from '../src/training/report/train-model.ts';
import type { TrainingRows } from '../src/training/core/training-rows.ts';

/*
 * Makes the bundled models from the simulated plant with the function behind `andon train`: `npm run models`. The bytes are the same
 * each time.
 */

/** Step of the simulation, the same as in the demo. */
const PLANT_STEP_MS = 100;
/** Grid of the models; two steps of the plant. */
const STEP_MS = 200;
const MINUTE_MS = 60_000;
const FILL_WINDOW_ROWS = 10;

type Column = { readonly name: string; readonly unit: string; readonly of: (reading: PumpReading) => number };

const vibration: Column = { name: 'pump-1.vibration', unit: 'g', of: ({ vibrationG }) => vibrationG };
const current: Column = { name: 'pump-1.current', unit: 'A', of: ({ currentA }) => currentA };
const pressure: Column = { name: 'pump-1.pressure', unit: 'bar', of: ({ pressureBar }) => pressureBar };
const flow: Column = { name: 'pump-1.flow', unit: 'm3/h', of: ({ flowM3h }) => flowM3h };
const temperature: Column = { name: 'pump-1.temperature', unit: '°C', of: ({ temperatureC }) => temperatureC };

const pumpColumns = [vibration, current, pressure, flow, temperature];
const fillColumns = [pressure, flow, temperature];

/** One run of the plant, sampled on the agent's grid. */
type Run = {
  readonly rows: TrainingRows;
  /** True for each row in which the pump has no fault. */
  readonly normal: readonly boolean[];
  readonly fillWeightG: Float64Array;
};

/** Drafts of the bundled models; the same at every call. */
export async function bundledModels(): Promise<ReadonlyMap<string, ModelDraft>> {
  return new Map([
    ['pump-anomaly', await pumpAnomaly()],
    ['fill-weight', await fillWeight()],
  ]);
}

async function pumpAnomaly(): Promise<ModelDraft> {
  const training = run({ seed: 1, timings: foreverNormal, minutes: 60, columns: pumpColumns });
  const normal = run({ seed: 2, timings: foreverNormal, minutes: 240, columns: pumpColumns });
  const degraded = run({ seed: 3, timings: demoTimings, minutes: 30, columns: pumpColumns });
  const { draft, fitted } = await trainModel({
    task: 'anomaly',
    algorithm: candidates('anomaly', 'wpca', 2)[0],
    segments: [training.rows],
    // A window of 16 s: the demo shows its first verdict soon.
    windowRows: 79,
    targets: undefined,
    classes: [],
    tags: pumpColumns.map(({ name, unit }) => ({ name, unit })),
    stepMs: STEP_MS,
    description: 'Notices bearing wear and cavitation of the simulated pump: whitened PCA of its five measurements.',
    decision: anomalyDecision,
    faulty: [degraded.rows],
    provenance: { data: 'simulated pump, normal running, seed 1', minutes: 60 },
  });
  const normalScores = fitted.judge(normal.rows).scores;
  const degradedScores = fitted.judge(degraded.rows).scores.map((score) => Number(score > 1));
  const first = fitted.windowRows - 1;
  const onsets = degraded.normal.flatMap((isNormal, row) =>
    row > first && !isNormal && degraded.normal[row - 1] === true ? [row - first] : [],
  );
  const delays = onsets.map((onset) => degradedScores.subarray(onset).indexOf(1) * STEP_MS);
  return withMetrics(draft, {
    held_out_normal_hours: 4,
    held_out_false_alarm_rate: normalScores.filter((score) => score > 1).length / normalScores.length,
    held_out_normal_score_max: normalScores.reduce((a, b) => Math.max(a, b)),
    degradations: onsets.length,
    degradations_missed: delays.filter((delayMs) => delayMs < 0).length,
    detection_delay_seconds_mean: delays.reduce((sum, delayMs) => sum + delayMs, 0) / delays.length / 1000,
    detection_delay_seconds_max: Math.max(...delays) / 1000,
  });
}

async function fillWeight(): Promise<ModelDraft> {
  const timings = { normalMs: 4 * MINUTE_MS, bearingWearMs: MINUTE_MS, cavitationMs: MINUTE_MS, recoveringMs: 10_000 };
  const { rows, fillWeightG } = run({ seed: 4, timings, minutes: 60, columns: fillColumns });
  const { draft } = await trainModel({
    task: 'regression',
    algorithm: candidates('regression', 'ridge', 2)[0],
    segments: [rows],
    targets: [fillWeightG],
    classes: [],
    tags: fillColumns.map(({ name, unit }) => ({ name, unit })),
    stepMs: STEP_MS,
    description: 'Predicts the weight of the bottles being filled from the pump that feeds the filler.',
    decision: { threshold: 490, abnormal: 'below', deadband: 1, unit: 'g' },
    windowRows: FILL_WINDOW_ROWS,
    provenance: { data: 'simulated filler with weighed bottles, seed 4', minutes: 60 },
  });
  return draft;
}

/** Measurements on other runs of the plant, in addition to those of the training. */
function withMetrics(draft: ModelDraft, metrics: Readonly<Record<string, number>>): ModelDraft {
  const short = Object.entries(metrics).map(([name, value]) => [name, Number(value.toPrecision(7))]);
  return {
    ...draft,
    manifest: { ...draft.manifest, metrics: { ...draft.manifest.metrics, ...Object.fromEntries(short) } },
  };
}

/**
 * Runs the plant and samples it as the agent does: on the grid each tag has the last value read. Its age is up to one
 * scan and differs between tags.
 */
function run(options: {
  readonly seed: number;
  readonly timings: PumpTimings;
  readonly minutes: number;
  readonly columns: readonly Column[];
}): Run {
  const plant = new PumpPlant({ random: seededRandom(options.seed), timings: options.timings });
  const late = seededRandom(options.seed + 1000);
  const count = (options.minutes * MINUTE_MS) / STEP_MS;
  const tags = options.columns.length;
  const values = new Float64Array(count * tags);
  const fillWeightG = new Float64Array(count);
  const normal: boolean[] = [];
  for (let row = 0; row < count; row += 1) {
    const earlier = plant.step(PLANT_STEP_MS);
    const reading = plant.step(PLANT_STEP_MS);
    options.columns.forEach((column, tag) => {
      values[row * tags + tag] = column.of(late() < 0.5 ? earlier : reading);
    });
    fillWeightG[row] = reading.fillWeightG;
    normal.push(reading.phase === 'normal');
  }
  return { rows: { count, tags, values }, normal, fillWeightG };
}

if (import.meta.main) {
  const directory = resolve(import.meta.dirname, '../models');
  for (const [name, draft] of await bundledModels()) {
    const folder = join(directory, name, '1');
    await mkdir(folder, { recursive: true });
    for (const [file, content] of modelFiles(name, 1, draft)) await writeFile(join(folder, file), content);
    await writeFile(join(directory, name, 'active'), '1\n');
    console.log(name, draft.graph.length, 'bytes', draft.manifest.metrics);
  }
}
