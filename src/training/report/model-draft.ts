import type * as z from 'zod';
import type { modelManifestSchema } from '../../contracts/model-manifest.ts';
import type { VerdictRule } from '../../domain/alarm/verdict-rule.ts';
import type { Imputation } from '../../domain/model/imputation.ts';
import type { MachineModes } from '../../domain/model/machine-modes.ts';
import type { MachineRegimes } from '../../domain/model/machine-regimes.ts';
import { distributionOf } from '../../domain/model/drift.ts';
import { formatDuration } from '../../domain/duration.ts';
import { sha256 } from '../../platform/sha256.ts';
import type { FittedModel, TrainingAlgorithm, TrainingTask } from '../core/algorithm.ts';
import { columnOf, concatenated, rounded } from '../core/statistics.ts';
import { countRows, sliceRows, type TrainingRows } from '../core/training-rows.ts';

/** `model.yaml` as it is written, before parsing gives defaults and milliseconds. */
type ManifestText = z.input<typeof modelManifestSchema>;

/** A trained model before it is written to the model directory, which assigns its version. */
export type ModelDraft = {
  readonly graph: Uint8Array;
  readonly manifest: Omit<ManifestText, 'name' | 'version'>;
  /** Report files for people, by name; undefined if there is no report. */
  readonly report?: ReadonlyMap<string, string>;
};

export type TagLabel = { readonly name: string; readonly unit: string };

/** The decision line for the score, and the score's unit. */
export type Decision = VerdictRule & {
  /** Unit of the score; undefined if it has none. */
  readonly unit?: string;
};

/** Data and purpose of a model. */
export type DraftFacts = {
  readonly task: TrainingTask;
  readonly algorithm: TrainingAlgorithm;
  /** Names of the classes, the normal one first; empty unless it is a classification. */
  readonly classes: readonly string[];
  readonly description: string;
  /** Tags in the order of the columns. */
  readonly tags: readonly TagLabel[];
  /** Grid spacing of the rows; undefined if they have no times. */
  readonly stepMs: number | undefined;
  /** All rows that the model was trained on: their extremes become the tags' ranges. */
  readonly segments: readonly TrainingRows[];
  /** The same rows as they were measured, if `segments` were moved to one centre. */
  readonly measured?: readonly TrainingRows[];
  readonly decision: Decision;
};

/** Returns the draft; the same facts and fit give the same bytes. */
export function modelDraft(
  fitted: FittedModel,
  facts: DraftFacts,
  results: {
    /** Recorded windows, oldest row first, that check the model at each load; at least one. */
    readonly golden: readonly TrainingRows[];
    /** Provenance of the training: times, seeds, files. */
    readonly training: Readonly<Record<string, unknown>>;
    readonly metrics: Readonly<Record<string, number>>;
    readonly modes?: MachineModes | undefined;
    readonly regimes?: MachineRegimes | undefined;
  },
): ModelDraft {
  const graph = fitted.graph();
  const { threshold, abnormal, deadband, relativeEnd, unit } = facts.decision;
  return {
    graph,
    manifest: {
      task: facts.task,
      ...(facts.classes.length === 0 ? {} : { classes: [...facts.classes] }),
      description: facts.description,
      sha256: sha256(graph),
      tags: facts.tags.map((tag, index) => ({
        ...tag,
        range: extremes(facts.measured ?? facts.segments, index),
        distribution: shortDistribution(thinnedColumn(facts.measured ?? facts.segments, index)),
      })),
      window: {
        steps: fitted.windowRows,
        ...(facts.stepMs === undefined ? {} : { step: formatDuration(facts.stepMs) }),
      },
      output: {
        score: 'score',
        ...(fitted.explain === undefined ? {} : { contributions: 'contributions' }),
        ...(facts.classes.length === 0 ? {} : { probabilities: 'probabilities' }),
        ...(unit === undefined ? {} : { unit }),
        distribution: shortDistribution(lastScores(fitted, facts.segments)),
      },
      metrics: Object.fromEntries(Object.entries(results.metrics).map(([name, value]) => [name, short(value)])),
      threshold,
      abnormal,
      deadband,
      ...(relativeEnd === undefined ? {} : { relativeEnd }),
      ...(fitted.imputation === undefined ? {} : { imputation: shortImputation(fitted.imputation) }),
      ...(results.modes === undefined ? {} : { modes: writableModes(results.modes) }),
      ...(results.regimes === undefined ? {} : { regimes: writableRegimes(results.regimes) }),
      golden: results.golden.map((window) => goldenVector(window, fitted)),
      training: { algorithm: facts.algorithm.name, ...results.training, ...fitted.details },
    },
  };
}

function shortImputation({ means, deviations, measures, ...others }: Imputation) {
  return { means: means.map(short), deviations: deviations.map(short), measures: [...measures], ...others };
}

function writableRegimes({ reference, scales, centres }: MachineRegimes) {
  return {
    reference: reference.map(short),
    scales: scales.map(short),
    centres: centres.map((centre) => centre.map(short)),
  };
}

function writableModes({ column, reference, values }: MachineModes) {
  return { column, reference: [...reference], values: values.map((mode) => ({ ...mode, centre: [...mode.centre] })) };
}

/** Returns a golden vector with the reference score of the fit, which shares no arithmetic with the graph. */
function goldenVector(window: TrainingRows, fitted: FittedModel) {
  // Short numbers keep the file readable. The score is computed from the written values, rounded to float32.
  const written = Array.from(window.values, short);
  const { scores } = fitted.judge({ ...window, values: Float64Array.from(written, Math.fround) });
  return { inputs: { window: written }, outputs: { score: [short(scores.at(-1) ?? Number.NaN)] } };
}

function extremes(segments: readonly TrainingRows[], tag: number): [number, number] {
  const values = concatenated(segments.map((rows) => columnOf(rows.values, rows.tags, tag)));
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))].map(short) as [
    number,
    number,
  ];
}

/** Maximum number of values of a distribution; more do not improve ten bins. */
const DISTRIBUTION_VALUES_MAX = 50_000;

function shortDistribution(values: Float64Array): { edges: number[]; shares: number[] } {
  const { edges, shares } = distributionOf(values);
  return { edges: edges.map(short), shares: shares.map(short) };
}

/** Returns a tag's values, thinned evenly. */
function thinnedColumn(segments: readonly TrainingRows[], tag: number): Float64Array {
  const stride = Math.max(1, Math.ceil(countRows(segments) / DISTRIBUTION_VALUES_MAX));
  return concatenated(
    segments.map(({ values, tags }) => columnOf(values, tags, tag).filter((_, row) => row % stride === 0)),
  );
}

/** Returns scores of the last training rows, which are closest to the next rows. */
function lastScores(fitted: FittedModel, segments: readonly TrainingRows[]): Float64Array {
  const rows = segments.at(-1);
  if (rows === undefined) return Float64Array.of(0);
  return Float64Array.from(
    fitted.judge(sliceRows(rows, Math.max(0, rows.count - DISTRIBUTION_VALUES_MAX), rows.count)).scores,
  );
}

/** Returns the last `steps` rows up to and including `row`: a window as the agent forms it. */
export function windowAt(rows: TrainingRows, row: number, steps: number): TrainingRows {
  return sliceRows(rows, row - steps + 1, row + 1);
}

/** Rounds to seven significant digits, the resolution of float32. */
function short(value: number): number {
  return rounded(value, 7);
}
