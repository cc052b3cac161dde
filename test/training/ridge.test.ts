import { expect, test } from 'vitest';
import { predictRidge, trainRidge } from '../../src/training/ridge.ts';
import { ridgeGraph } from '../../src/training/ridge-graph.ts';
import type { TrainingRows } from '../../src/training/training-rows.ts';
import { sliceRows } from '../../src/training/training-rows.ts';
import { machineRows } from './machine.ts';
import { runGraph } from './run-graph.ts';
import { seededRandom } from './seeded-random.ts';

const WINDOW_ROWS = 10;

test('a quality that hangs on the tags is predicted far better than by its mean', () => {
  const rows = machineRows(1500, 1);
  const { metrics, warnings } = trainRidge(rows, fillWeight(rows), WINDOW_ROWS);
  expect(metrics.rmse).toBeLessThan(metrics.naiveRmse / 2);
  expect(metrics.r2).toBeGreaterThan(0.75);
  expect(warnings).toEqual([]);
});

test('a quality that hangs on nothing measured is said to be so', () => {
  const rows = machineRows(600, 2);
  const random = seededRandom(3);
  const { metrics, warnings } = trainRidge(rows, Float64Array.from({ length: 600 }, random), WINDOW_ROWS);
  expect(metrics.r2).toBeLessThan(0.05);
  expect(metrics.r2 > 0 || warnings.length === 1).toBe(true);
});

test('two tags that say the same are no obstacle', () => {
  const { count, tags, values } = machineRows(600, 4);
  const doubled = {
    count,
    tags: 4,
    values: Float64Array.from(
      { length: count * 4 },
      (_, index) => values[Math.floor(index / 4) * tags + ((index % 4) % 3)] ?? 0,
    ),
  };
  const { model } = trainRidge(doubled, fillWeight(machineRows(600, 4)), WINDOW_ROWS);
  expect(model.coefficients.every((coefficient) => Math.abs(coefficient) < 100)).toBe(true);
});

test('the penalty is chosen and the error measured on rows later than those fitted', () => {
  const rows = machineRows(1000, 5);
  const quality = fillWeight(rows);
  const spoiled = quality.map((value, row) => (row < 900 ? value : 0));
  expect(trainRidge(rows, spoiled, WINDOW_ROWS).metrics.rmse).toBeGreaterThan(100);
  expect(trainRidge(rows, spoiled, WINDOW_ROWS).model).toEqual(trainRidge(rows, quality, WINDOW_ROWS).model);
});

test('a quality that is missing is refused with its row', () => {
  const rows = machineRows(300, 6);
  const quality = fillWeight(rows).map((value, row) => (row === 77 ? Number.NaN : value));
  expect(() => trainRidge(rows, quality, WINDOW_ROWS)).toThrow(/row 77/);
});

test('the graph predicts as the fit does, and its shares add up to one', async () => {
  const rows = { ...machineRows(800, 7), values: machineRows(800, 7).values.map(Math.fround) };
  const { model } = trainRidge(rows, fillWeight(rows), WINDOW_ROWS);
  const batch = rows.count - WINDOW_ROWS + 1;
  const window = new Float32Array(batch * WINDOW_ROWS * 3);
  for (let first = 0; first < batch; first += 1) {
    window.set(sliceRows(rows, first, first + WINDOW_ROWS).values, first * WINDOW_ROWS * 3);
  }
  const { score, contributions } = await runGraph(ridgeGraph(model), window, [batch, WINDOW_ROWS, 3]);
  predictRidge(model, rows).forEach((expected, row) => {
    expect(Math.abs((score[row] ?? Number.NaN) - expected)).toBeLessThan(1e-5 * Math.abs(expected));
    const shares = contributions.subarray(row * 3, row * 3 + 3);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
  });
});

/** Grams: follows the load and the temperature, with the scatter of a check weigher. */
function fillWeight({ count, tags, values }: TrainingRows): Float64Array {
  const random = seededRandom(99);
  return Float64Array.from({ length: count }, (_, row) => {
    const load = values[row * tags] ?? 0;
    const temperature = values[row * tags + 2] ?? 0;
    return 500 + 0.4 * (load - 100) - 2 * (temperature - 300) + random() - 0.5;
  });
}
