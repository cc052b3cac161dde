import { describe, expect, test } from 'vitest';
import type { FittedModel, TrainingAlgorithm } from '../../src/training/core/algorithm.ts';
import { boostedTreesAlgorithm } from '../../src/training/boosted-trees/boosted-trees.ts';
import { classMetrics, naiveProbabilities } from '../../src/training/report/class-metrics.ts';
import { mlpAlgorithm } from '../../src/training/mlp/mlp.ts';
import { softmaxAlgorithm } from '../../src/training/softmax/softmax.ts';
import { sliceRows } from '../../src/training/core/training-rows.ts';
import { parityGap } from './graph-parity.ts';
import { classification, type LabelledTable, labelledTable, regression } from './labelled-tables.ts';

const classifiers = [softmaxAlgorithm, boostedTreesAlgorithm, mlpAlgorithm];
const bending = [boostedTreesAlgorithm, mlpAlgorithm];
const table = labelledTable(400, 1);
const later = labelledTable(500, 2);

describe.each(classifiers)('classes by $name', (algorithm) => {
  test.each([1, 7])('are the same in the graph, with windows of %i rows', async (windowRows) => {
    const gap = await parityGap(await fitOnce(algorithm, windowRows), later.rows);
    expect(Math.max(gap.score, gap.probabilities, gap.contributions)).toBeLessThan(1e-5);
  });

  test('are returned as probabilities, and the score is the probability of not being normal', async () => {
    const { scores, probabilities = new Float64Array() } = (await fitOnce(algorithm)).judge(later.rows);
    scores.forEach((score, row) => {
      const [normal = 0, ...others] = probabilities.subarray(row * 3, row * 3 + 3);
      expect(score).toBeCloseTo(1 - normal, 10);
      expect(normal + others.reduce((sum, other) => sum + other, 0)).toBeCloseTo(1, 10);
    });
  });

  test('are the same bytes for the same rows and seed', async () => {
    const again = await algorithm.fit(classification(table));
    expect(Buffer.compare(again.graph(), (await fitOnce(algorithm)).graph())).toBe(0);
  });

  test('are refused if one has almost no rows', async () => {
    const rare = { ...table, classes: table.classes.map((label, row) => (label === 2 && row > 10 ? 1 : label)) };
    await expect(algorithm.fit(classification(rare))).rejects.toMatchObject({ code: 'training-too-few-rows' });
    await expect(algorithm.fit(classification(labelledTable(80, 1)))).rejects.toThrow(/100 or more are needed/);
  });
});

describe.each(bending)('rows labelled by how two tags act together, learned by $name', (algorithm) => {
  test('are separated, with calibrated probabilities', async () => {
    const { probabilities = new Float64Array() } = (await algorithm.fit(classification(labelledTable(1000, 3)))).judge(
      later.rows,
    );
    const metrics = measured(later, probabilities);
    expect(metrics.accuracy).toBeGreaterThan(0.87);
    expect(metrics.calibrationError).toBeLessThan(0.08);
    expect(measured(later, naiveProbabilities(table.classes.filter(Number.isFinite), 500, 3)).accuracy).toBeLessThan(
      0.6,
    );
  });

  test('are separated as well if the rows are sorted by class', async () => {
    const { probabilities = new Float64Array() } = (
      await algorithm.fit(classification(sortedByClass(labelledTable(1000, 3))))
    ).judge(later.rows);
    expect(measured(later, probabilities).accuracy).toBeGreaterThan(0.87);
  });
});

describe.each(bending)('a quality by $name', (algorithm) => {
  test('follows a bend and a step that no weighted sum could', async () => {
    const { scores } = (await algorithm.fit(regression(labelledTable(1000, 3)))).judge(later.rows);
    const mean = later.quality.reduce((sum, value) => sum + value, 0) / 500;
    const squared = (guess: (row: number) => number) =>
      later.quality.reduce((sum, value, row) => sum + (value - guess(row)) ** 2, 0);
    expect(1 - squared((row) => scores[row] ?? 0) / squared(() => mean)).toBeGreaterThan(0.85);
  });

  test.each([1, 7])('is the same in the graph, with windows of %i rows', async (windowRows) => {
    const gap = await parityGap(await algorithm.fit(regression(table, windowRows)), later.rows);
    expect(gap.score).toBeLessThan(1e-5);
  });
});

test('a softmax regression blames the tag that its classes hang on', async () => {
  const byHeat = {
    ...table,
    classes: table.rows.values.filter((_, index) => index % 4 === 1).map((heat) => (heat > 4096.5 ? 1 : 0)),
  };
  const fitted = await softmaxAlgorithm.fit({ ...classification(byHeat), classes: ['cold', 'hot'] });
  const hottest = Array.from({ length: 500 }, (_, row) => row).reduce((best, row) =>
    (later.rows.values[row * 4 + 1] ?? 0) > (later.rows.values[best * 4 + 1] ?? 0) ? row : best,
  );
  const shares = fitted.explain?.(sliceRows(later.rows, hottest, hottest + 1)) ?? new Float64Array();
  expect(shares[1]).toBeGreaterThan(0.8);
  expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 10);
});

test('a value on the very edge of a split takes the same branch in the graph', async () => {
  const fitted = await fitOnce(boostedTreesAlgorithm);
  // Every value that was learned from, and its neighbours in float32: the splits lie between them.
  const neighbours = table.rows.values.map((value, index) => nextFloat32(value, (index % 3) - 1));
  const gap = await parityGap(fitted, { ...table.rows, values: neighbours });
  expect(gap.probabilities).toBeLessThan(1e-5);
});

const fits = new Map<string, Promise<FittedModel>>();

/** Returns a fit on the table, shared by the tests. */
function fitOnce(algorithm: TrainingAlgorithm, windowRows = 1): Promise<FittedModel> {
  const key = `${algorithm.name} ${windowRows}`;
  const fit = fits.get(key) ?? algorithm.fit(classification(table, windowRows));
  fits.set(key, fit);
  return fit;
}

function nextFloat32(value: number, steps: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  view.setInt32(0, view.getInt32(0) + steps);
  return view.getFloat32(0);
}

/** Returns the metrics on the labelled rows. */
function measured({ classes }: LabelledTable, probabilities: Float64Array) {
  const labelled = [...classes.keys()].filter((row) => Number.isFinite(classes[row]));
  const picked = labelled.flatMap((row) => [...probabilities.subarray(row * 3, row * 3 + 3)]);
  return classMetrics(
    Float64Array.from(picked),
    labelled.map((row) => classes[row] ?? 0),
    3,
  );
}

function sortedByClass({ rows, classes, quality }: LabelledTable): LabelledTable {
  const order = [...classes.keys()].toSorted((a, b) => (classes[a] ?? 0) - (classes[b] ?? 0) || a - b);
  const known = order.filter((row) => Number.isFinite(classes[row]));
  return {
    rows: {
      count: known.length,
      tags: 4,
      values: Float64Array.from(known.flatMap((row) => [...sliceRows(rows, row, row + 1).values])),
    },
    classes: Float64Array.from(known, (row) => classes[row] ?? 0),
    quality,
  };
}
