import { createHash } from 'node:crypto';
import type * as z from 'zod';
import type { modelManifestSchema } from '../contracts/model-manifest.ts';
import { formatDuration } from '../domain/duration.ts';
import type { TrainedRidge } from './ridge.ts';
import { predictRidge } from './ridge.ts';
import { ridgeGraph } from './ridge-graph.ts';
import type { TrainingRows } from './training-rows.ts';
import { sliceRows } from './training-rows.ts';
import { windowRows } from './wpca.ts';
import type { WpcaDetector } from './wpca-detector.ts';
import { detectorScores } from './wpca-detector.ts';
import { wpcaGraph } from './wpca-graph.ts';

/** `model.yaml` as it is written, before parsing gives defaults and milliseconds. */
export type ManifestText = z.input<typeof modelManifestSchema>;

/** A trained model on its way into the model directory, where it gets its version. */
export type ModelDraft = {
  readonly graph: Uint8Array;
  readonly manifest: Omit<ManifestText, 'name' | 'version'>;
};

export type TagLabel = { readonly name: string; readonly unit: string };

export type DraftFacts = {
  readonly description: string;
  /** In the columns' order. */
  readonly tags: readonly TagLabel[];
  /** Grid spacing of the rows; undefined where they come without times. */
  readonly stepMs: number | undefined;
  /** All rows that the model was trained on: their extremes become the tags' ranges. */
  readonly rows: readonly TrainingRows[];
  /** Real windows, oldest row first, to check the model with whenever it is loaded; at least one. */
  readonly golden: readonly TrainingRows[];
  /** How and on what it was trained: times, seeds, files, penalties. */
  readonly training: Readonly<Record<string, unknown>>;
  readonly metrics: Readonly<Record<string, number>>;
};

/** Score at which a window is abnormal, and normal again (score · limit, so 1 is the limit itself). */
const ANOMALY_THRESHOLD = 1;
const ANOMALY_DEADBAND = 0.2;

export function anomalyDraft(detector: WpcaDetector, facts: DraftFacts): ModelDraft {
  const graph = wpcaGraph(detector);
  const { lags, smoothingRows, drift, rest } = detector.model;
  return {
    graph,
    manifest: {
      task: 'anomaly',
      ...commonManifest(facts, graph, windowRows(detector.model)),
      threshold: ANOMALY_THRESHOLD,
      abnormal: 'above',
      deadband: ANOMALY_DEADBAND,
      golden: facts.golden.map((window) => goldenVector(window, (rows) => detectorScores(detector, rows).at(-1))),
      training: {
        algorithm: 'wpca',
        ...facts.training,
        lags,
        smoothingRows,
        driftComponents: drift.components,
        restComponents: rest.components,
        independentSpans: short(detector.independentSpans),
        warnings: [...detector.warnings],
      },
    },
  };
}

/** @param judgement Decision line in the unit of the quality. */
export function regressionDraft(
  trained: TrainedRidge,
  judgement: Pick<ManifestText, 'threshold' | 'abnormal' | 'deadband'> & { readonly unit: string },
  facts: DraftFacts,
): ModelDraft {
  const graph = ridgeGraph(trained.model);
  const { unit, ...decision } = judgement;
  const { heldOutRows, rmse, mae, naiveRmse, r2 } = trained.metrics;
  const common = commonManifest(facts, graph, trained.model.windowRows);
  return {
    graph,
    manifest: {
      task: 'regression',
      ...common,
      ...decision,
      output: { ...common.output, unit },
      golden: facts.golden.map((window) => goldenVector(window, (rows) => predictRidge(trained.model, rows).at(-1))),
      training: {
        algorithm: 'ridge',
        ...facts.training,
        penalty: trained.penalty,
        warnings: [...trained.warnings],
      },
      metrics: {
        held_out_rows: heldOutRows,
        rmse: short(rmse),
        mae: short(mae),
        naive_rmse: short(naiveRmse),
        r2: short(r2),
        ...facts.metrics,
      },
    },
  };
}

function commonManifest(facts: DraftFacts, graph: Uint8Array, steps: number) {
  return {
    description: facts.description,
    sha256: createHash('sha256').update(graph).digest('hex'),
    tags: facts.tags.map((tag, index) => ({ ...tag, range: extremes(facts.rows, index) })),
    window: facts.stepMs === undefined ? { steps } : { steps, step: formatDuration(facts.stepMs) },
    output: { score: 'score', contributions: 'contributions' },
    metrics: Object.fromEntries(Object.entries(facts.metrics).map(([name, value]) => [name, short(value)])),
  };
}

/** The fit's own score of a window is what the graph is held to: the two share no arithmetic. */
function goldenVector(window: TrainingRows, score: (rows: TrainingRows) => number | undefined) {
  // Short numbers keep the file readable; the score is that of the values as they are written and float32 has them.
  const written = Array.from(window.values, short);
  const rows = { ...window, values: Float64Array.from(written, Math.fround) };
  return { inputs: { window: written }, outputs: { score: [short(score(rows) ?? Number.NaN)] } };
}

function extremes(segments: readonly TrainingRows[], tag: number): [number, number] {
  let lowest = Number.POSITIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  for (const { values, tags } of segments) {
    for (let index = tag; index < values.length; index += tags) {
      lowest = Math.min(lowest, values[index] ?? lowest);
      highest = Math.max(highest, values[index] ?? highest);
    }
  }
  return [short(lowest), short(highest)];
}

/** Last `steps` rows up to and including `row`: a window as the agent would hand it over. */
export function windowAt(rows: TrainingRows, row: number, steps: number): TrainingRows {
  return sliceRows(rows, row - steps + 1, row + 1);
}

/** Seven significant digits: all that float32 holds. */
function short(value: number): number {
  return Number(value.toPrecision(7));
}
