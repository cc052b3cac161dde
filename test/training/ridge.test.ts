import { expect, test } from 'vitest';
import { ridgeGraph, predictRidge, trainRidge } from '../../src/training/ridge/ridge.ts';
import { sliceRows, type TrainingRows } from '../../src/training/core/training-rows.ts';
import { machineRows } from './machine.ts';
import { runGraph } from './run-graph.ts';
import { seededRandom } from './seeded-random.ts';

const WINDOW_ROWS = 10;

test('two identical tags are accepted', () => {
  const { count, tags, values } = machineRows(600, 4);
  const doubled = {
    count,
    tags: 4,
    values: Float64Array.from(
      { length: count * 4 },
      (_, index) => values[Math.floor(index / 4) * tags + ((index % 4) % 3)] ?? 0,
    ),
  };
  const { model } = trainRidge([doubled], [fillWeight(machineRows(600, 4))], WINDOW_ROWS);
  expect(model.coefficients.every((coefficient) => Math.abs(coefficient) < 100)).toBe(true);
});

test('rows without a measurement are ignored, and no window crosses from one run to the next', () => {
  const rows = machineRows(900, 5);
  const quality = fillWeight(rows);
  const runs = [sliceRows(rows, 0, 400), sliceRows(rows, 400, 900)];
  const known = quality.map((value, row) => (row % 3 === 0 ? value : Number.NaN));
  const { model } = trainRidge(runs, [known.subarray(0, 400), known.subarray(400)], WINDOW_ROWS);
  const predictions = predictRidge(model, rows);
  const errors = predictions.map((prediction, row) => Math.abs(prediction - (quality[row + WINDOW_ROWS - 1] ?? 0)));
  expect(errors.reduce((sum, error) => sum + error, 0) / errors.length).toBeLessThan(1);
});

test('too few measured rows are refused with their number', () => {
  const rows = machineRows(300, 6);
  const known = fillWeight(rows).map((value, row) => (row % 10 === 0 ? value : Number.NaN));
  expect(() => trainRidge([rows], [known], WINDOW_ROWS)).toThrow(/^29 rows/);
});

test('the graph predicts as the fit does, and its shares add up to one', async () => {
  const rows = { ...machineRows(800, 7), values: machineRows(800, 7).values.map(Math.fround) };
  const { model } = trainRidge([rows], [fillWeight(rows)], WINDOW_ROWS);
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
