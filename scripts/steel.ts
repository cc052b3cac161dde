import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { TrainingAlgorithm } from '../src/training/core/algorithm.ts';
import { boostedTreesAlgorithm } from '../src/training/boosted-trees/boosted-trees.ts';
import { type ClassMetrics, classMetrics, naiveProbabilities } from '../src/training/report/class-metrics.ts';
import { mlpAlgorithm } from '../src/training/mlp/mlp.ts';
import { softmaxAlgorithm } from '../src/training/softmax/softmax.ts';
import { sliceRows, type TrainingRows } from '../src/training/core/training-rows.ts';

/*
 * Measures how well the algorithms for labelled rows distinguish the faults of steel plates: `npm run steel`. Every fifth plate
 * is held out and used for no choice.
 */

/** 1,941 plates, 27 measurements, 7 kinds of fault (UCI, Steel Plates Faults); next to the checkout, because it is too large for the repository. */
export const steelFile = resolve(import.meta.dirname, '../../shared/data/steel/steel_plates_faults.csv');

const HELD_OUT_EVERY = 5;
const SEED = 1;

export type SteelResult = ClassMetrics & {
  readonly algorithm: string;
  readonly fitSeconds: number;
  readonly graphBytes: number;
  readonly details: Readonly<Record<string, unknown>>;
};

type Plates = { readonly rows: TrainingRows; readonly labels: Float64Array };

/** Fits on four fifths of the plates and measures on the rest. */
export async function steelResult(algorithm: TrainingAlgorithm): Promise<SteelResult> {
  const { classes, plates } = readPlates();
  const fit = pick(plates, (row) => row % HELD_OUT_EVERY !== 0);
  const heldOut = pick(plates, (row) => row % HELD_OUT_EVERY === 0);
  const startedMs = performance.now();
  const fitted = await algorithm.fit({
    task: 'classification',
    segments: [fit.rows],
    targets: [fit.labels],
    classes,
    windowRows: 1,
    seed: SEED,
    onProgress: () => undefined,
  });
  const fitSeconds = (performance.now() - startedMs) / 1000;
  const probabilities = fitted.judge(heldOut.rows).probabilities ?? new Float64Array();
  const metrics = classMetrics(probabilities, heldOut.labels, classes.length);
  const graphBytes = fitted.graph().length;
  return { ...metrics, algorithm: algorithm.name, fitSeconds, graphBytes, details: fitted.details };
}

/** Baseline: the most frequent fault for every plate. */
export function naiveSteelResult(): ClassMetrics {
  const { classes, plates } = readPlates();
  const fit = pick(plates, (row) => row % HELD_OUT_EVERY !== 0);
  const heldOut = pick(plates, (row) => row % HELD_OUT_EVERY === 0);
  const probabilities = naiveProbabilities(fit.labels, heldOut.labels.length, classes.length);
  return classMetrics(probabilities, heldOut.labels, classes.length);
}

function readPlates(): { readonly classes: readonly string[]; readonly plates: Plates } {
  const lines = readFileSync(steelFile, 'utf8').trim().split(/\r?\n/).slice(1);
  const cells = lines.map((line) => line.split(','));
  const names = cells.map((row) => row.at(-1) ?? '');
  const classes = [...new Set(names)].toSorted();
  const tags = (cells[0]?.length ?? 1) - 1;
  const values = Float64Array.from(cells.flatMap((row) => row.slice(0, tags).map(Number)));
  const labels = Float64Array.from(names, (name) => classes.indexOf(name));
  return { classes, plates: { rows: { count: cells.length, tags, values }, labels } };
}

function pick({ rows, labels }: Plates, wanted: (row: number) => boolean): Plates {
  const picked = [...labels.keys()].filter(wanted);
  const values = picked.flatMap((row) => [...sliceRows(rows, row, row + 1).values]);
  return {
    rows: { count: picked.length, tags: rows.tags, values: Float64Array.from(values) },
    labels: Float64Array.from(picked, (row) => labels[row] ?? 0),
  };
}

function tableRow(name: string, metrics: ClassMetrics, rest: readonly string[]): string {
  const numbers = [metrics.macroF1, metrics.accuracy, metrics.logLoss, metrics.calibrationError];
  return [name.padEnd(14), ...numbers.map((value) => value.toFixed(3).padStart(9)), ...rest].join(' ');
}

if (import.meta.main) {
  if (!existsSync(steelFile)) throw new Error(`No data: ${steelFile} is missing`);
  console.log(['algorithm     ', ' macro F1', ' accuracy', ' log loss', 'cal.error', '  fit s', 'graph KB'].join(' '));
  console.log(tableRow('naive', naiveSteelResult(), []));
  for (const algorithm of [softmaxAlgorithm, mlpAlgorithm, boostedTreesAlgorithm]) {
    const result = await steelResult(algorithm);
    const size = (result.graphBytes / 1000).toFixed(0).padStart(8);
    console.log(tableRow(algorithm.name, result, [result.fitSeconds.toFixed(1).padStart(7), size]));
  }
}
