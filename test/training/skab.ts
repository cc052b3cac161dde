import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TrainingRows, trainingRows } from '../../src/training/core/training-rows.ts';

/** The Skoltech Anomaly Benchmark, if it is next to the checkout; too large for the repository. */
const folder = resolve(import.meta.dirname, '../../../shared/data/skab');
const referenceFolder = join(folder, 'reference/valve1');

export const skabFiles: readonly string[] = existsSync(referenceFolder) ? readdirSync(referenceFolder).sort() : [];

export function skabRows(file: string): TrainingRows {
  return trainingRows(columns(join(folder, 'valve1', file)).map((cells) => cells.slice(1, 9).map(Number)));
}

/** Scores of rows 400 and on by an independent implementation. */
export function skabReference(file: string): readonly number[] {
  return columns(join(referenceFolder, file)).map((cells) => Number(cells[1]));
}

function columns(path: string): readonly string[][] {
  const lines = readFileSync(path, 'utf8').trim().split(/\r?\n/);
  return lines.slice(1).map((line) => line.split(';'));
}
