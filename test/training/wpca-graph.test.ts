import { describe, expect, test } from 'vitest';
import { sliceRows, type TrainingRows } from '../../src/training/core/training-rows.ts';
import { windowRows, wpcaContributions, wpcaStatistics } from '../../src/training/wpca/wpca.ts';
import { wpcaGraph, detectorScores, trainWpca, type WpcaDetector } from '../../src/training/wpca/wpca-detector.ts';
import { machineRows } from './machine.ts';
import { runGraph } from './run-graph.ts';
import { skabFiles, skabRows } from './skab.ts';

describe('the graph judges as the fit does', () => {
  test('every window of a machine gets the same score in any batch', async () => {
    const detector = trainWpca([machineRows(600, 7)]);
    expect(await differences(detector, machineRows(700, 8, 400))).toSatisfy(small);
  });

  test('a single tag is judged by its own past', async () => {
    const { count, values } = machineRows(400, 5);
    const level = { count, tags: 1, values: values.filter((_, index) => index % 3 === 0) };
    expect(await differences(trainWpca([level]), level)).toSatisfy(small);
  });

  test('a tag that never moved in training does not make the score infinite', async () => {
    const withConstant = appendConstant(machineRows(500, 3), 42);
    expect(await differences(trainWpca([withConstant]), appendConstant(machineRows(300, 4), 42))).toSatisfy(small);
  });

  test('a small movement on a large offset keeps its digits in float32', async () => {
    const far = (rows: TrainingRows) => ({ ...rows, values: rows.values.map((value) => Math.fround(value + 4096)) });
    expect(await differences(trainWpca([far(machineRows(600, 7))]), far(machineRows(300, 8)))).toSatisfy(small);
  });

  test('the shares add up to one, and name the tag that left its place', async () => {
    const detector = trainWpca([machineRows(600, 7)]);
    const rows = machineRows(700, 8, 400);
    const { contributions } = await runOn(detector, rows);
    const last = Array.from(contributions.slice(-3));
    expect(last.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
    expect(last.indexOf(Math.max(...last))).toBe(1);
  });

  test('the same rows always give the same bytes', () => {
    expect(wpcaGraph(trainWpca([machineRows(600, 7)]))).toEqual(wpcaGraph(trainWpca([machineRows(600, 7)])));
  });
});

describe.skipIf(skabFiles.length === 0)('the graph judges a real pump test bed as the fit does', () => {
  test.each(skabFiles.slice(0, 4))('SKAB valve1/%s', async (file) => {
    const rows = skabRows(file);
    expect(await differences(trainWpca([sliceRows(rows, 0, 400)]), rows)).toSatisfy(small);
  });
});

type Differences = { readonly score: number; readonly shares: number };

const small = ({ score, shares }: Differences) => score < 1e-5 && shares < 1e-4;

/** Largest differences from the fit over every full window, on values as float32 has them. */
async function differences(detector: WpcaDetector, exact: TrainingRows): Promise<Differences> {
  const rows = { ...exact, values: exact.values.map(Math.fround) };
  const { score, contributions } = await runOn(detector, rows);
  const skip = windowRows(detector.model) - 1;
  return {
    score: largestDifference(score, detectorScores(detector, rows).subarray(skip)),
    shares: largestDifference(contributions, expectedShares(detector, rows).subarray(skip * rows.tags)),
  };
}

function runOn(detector: WpcaDetector, rows: TrainingRows) {
  const steps = windowRows(detector.model);
  const batch = rows.count - steps + 1;
  const window = new Float32Array(batch * steps * rows.tags);
  for (let index = 0; index < batch; index += 1) {
    window.set(sliceRows(rows, index, index + steps).values, index * steps * rows.tags);
  }
  return runGraph(wpcaGraph(detector), window, [batch, steps, rows.tags]);
}

function expectedShares(detector: WpcaDetector, rows: TrainingRows): Float64Array {
  const { tags, values } = rows;
  const statistics = wpcaStatistics(detector.model, rows);
  const drift = wpcaContributions(detector.model, rows, 'drift');
  const rest = wpcaContributions(detector.model, rows, 'rest');
  return values.map((_, index) => {
    const row = Math.floor(index / tags);
    const driftDecides =
      (statistics.drift[row] ?? 0) / detector.driftLimit > (statistics.rest[row] ?? 0) / detector.restLimit;
    const parts = (driftDecides ? drift : rest).subarray(row * tags, (row + 1) * tags);
    const total = parts.reduce((sum, part) => sum + Math.max(part, 0), 0);
    return Math.max(parts[index % tags] ?? 0, 0) / total;
  });
}

/** Returns the largest difference relative to the larger of the expected value and 1. */
function largestDifference(values: Float32Array, expected: Float64Array): number {
  expect(values).toHaveLength(expected.length);
  return expected.reduce(
    (largest, value, index) =>
      Math.max(largest, Math.abs((values[index] ?? Number.NaN) - value) / Math.max(1, Math.abs(value))),
    0,
  );
}

function appendConstant({ count, tags, values }: TrainingRows, constant: number): TrainingRows {
  const wider = Array.from({ length: count }, (_, row) => [...values.subarray(row * tags, (row + 1) * tags), constant]);
  return { count, tags: tags + 1, values: Float64Array.from(wider.flat()) };
}
