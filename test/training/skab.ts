import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TrainingRows, trainingRows } from '../../src/training/core/training-rows.ts';

/** The Skoltech Anomaly Benchmark, if it is next to the checkout; too large for the repository. */
export const skabFolder = resolve(import.meta.dirname, '../../../shared/data/skab');
/** An implementation of the same detector in numpy, by another author. */
export const referenceTool = resolve(import.meta.dirname, '../../../shared/tools/detector2_reference.py');

const valve1 = join(skabFolder, 'valve1');
export const skabFiles: readonly string[] = existsSync(valve1) ? readdirSync(valve1).sort() : [];
export const hasReference =
  skabFiles.length > 0 && existsSync(referenceTool) && spawnSync('python3', ['-c', 'import numpy']).status === 0;

export function skabRows(file: string): TrainingRows {
  return trainingRows(columns(join(valve1, file)).map((cells) => cells.slice(1, 9).map(Number)));
}

/** Scores of rows 400 and on, as the reference wrote them. */
export function referenceScores(file: string): readonly number[] {
  return columns(file).map((cells) => Number(cells[1]));
}

function columns(path: string): readonly string[][] {
  const lines = readFileSync(path, 'utf8').trim().split(/\r?\n/);
  return lines.slice(1).map((line) => line.split(';'));
}
