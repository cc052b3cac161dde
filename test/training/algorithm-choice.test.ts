import { describe, expect, test } from 'vitest';
import { averagePrecision } from '../../src/training/report/class-metrics.ts';
import { candidates } from '../../src/training/catalogue/algorithms.ts';
import { boostedTreesAlgorithm } from '../../src/training/boosted-trees/boosted-trees.ts';
import { ridgeAlgorithm } from '../../src/training/ridge/ridge.ts';
import { assessFit, chooseAlgorithm, type FitOrder } from '../../src/training/report/algorithm-choice.ts';
import { classificationDecision } from '../../src/training/report/train-model.ts';
import { classification, labelledTable, type LabelledTable, regression } from './labelled-tables.ts';
import { seededRandom } from './seeded-random.ts';

test('one tag has the control chart, more have wpca, and labels have every algorithm with boosted trees first', () => {
  const names = (task: 'anomaly' | 'regression' | 'classification', tags: number) =>
    candidates(task, undefined, tags).map(({ name }) => name);
  expect(names('anomaly', 1)).toEqual(['control-chart']);
  expect(names('anomaly', 2)).toEqual(['wpca']);
  expect(names('regression', 1)).toEqual(['boosted-trees', 'ridge', 'mlp']);
  expect(names('classification', 9)).toEqual(['boosted-trees', 'softmax', 'mlp']);
  expect(candidates('regression', 'ridge', 3)).toEqual([ridgeAlgorithm]);
  expect(() => candidates('regression', 'softmax', 3)).toThrow('there is boosted-trees, ridge, mlp');
});

describe('the algorithm with the smallest loss on held-out rows is chosen', () => {
  test('ridge for a straight line, boosted trees for tags that act together', async () => {
    const straight = await choose(lineTable(600));
    expect(straight.algorithm.name).toBe('ridge');
    expect(Object.keys(straight.compared ?? {})).toEqual(['no model', 'boosted-trees', 'ridge']);
    expect(straight.compared?.['ridge']).toBeLessThan((straight.compared?.['boosted-trees'] ?? 0) * 0.98);
    const bent = await choose(labelledTable(600, 4));
    expect(bent.algorithm.name).toBe('boosted-trees');
    expect(bent.compared?.['boosted-trees']).toBeLessThan(bent.compared?.['ridge'] ?? 0);
  });

  test('and its assessment comes from the trial fit', async () => {
    const { assessment, compared } = await choose(lineTable(600));
    expect(assessment?.metrics['rmse']).toBe(compared?.['ridge']);
  });
});

test('the interval of a regression contains nine of ten later qualities', async () => {
  const table = labelledTable(3000, 7);
  const order: FitOrder = {
    ...regression(slice(table, 0, 1500)),
    decision: below,
    stepMs: undefined,
    onProgress: undefined,
  };
  const assessment = await assessFit(boostedTreesAlgorithm, order);
  const halfWidth = assessment?.metrics['interval_90'] ?? 0;
  const fitted = await boostedTreesAlgorithm.fit(regression(slice(table, 0, 1500)));
  const later = slice(table, 1500, 3000);
  const { scores } = fitted.judge(later.rows);
  const inside = scores.filter((score, row) => Math.abs(score - (later.quality[row] ?? 0)) <= halfWidth).length;
  expect(inside / scores.length).toBeGreaterThan(0.87);
  expect(inside / scores.length).toBeLessThan(0.97);
});

test('the confusion of a classification counts every labelled held-out row once', async () => {
  const order: FitOrder = {
    ...classification(labelledTable(800, 5)),
    decision: classificationDecision,
    stepMs: undefined,
    onProgress: undefined,
  };
  const assessment = await assessFit(boostedTreesAlgorithm, order);
  const confusion = assessment?.confusion ?? {};
  const metrics = assessment?.metrics ?? {};
  expect(Object.keys(confusion)).toEqual(['good', 'skewed', 'worn']);
  const counts = Object.values(confusion).flatMap((row) => Object.values(row));
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(metrics['held_out_rows']);
  const right = Object.entries(confusion).reduce((sum, [name, row]) => sum + (row[name] ?? 0), 0);
  expect(right / (metrics['held_out_rows'] ?? 1)).toBeCloseTo(metrics['accuracy'] ?? 0);
});

test('the average precision equals the one of scikit-learn, also with equal scores', () => {
  // sklearn.metrics.average_precision_score of the same rows.
  expect(averagePrecision([0.1, 0.4, 0.35, 0.8], [false, false, true, true])).toBeCloseTo(0.8333333, 6);
  expect(averagePrecision([0.5, 0.5, 0.5, 0.1], [true, false, false, true])).toBeCloseTo(0.4166667, 6);
});

const below = { threshold: 0, abnormal: 'below', deadband: 0, unit: '' } as const;

async function choose(table: LabelledTable) {
  const order: FitOrder = { ...regression(table), decision: below, stepMs: undefined, onProgress: undefined };
  return chooseAlgorithm(order, [boostedTreesAlgorithm, ridgeAlgorithm]);
}

/** A quality on a straight line of the tags, with a little noise. */
function lineTable(count: number): LabelledTable {
  const table = labelledTable(count, 3);
  const random = seededRandom(9);
  const quality = Float64Array.from(
    { length: count },
    (_, row) => 3 * (table.rows.values[row * 4] ?? 0) - 40 * (table.rows.values[row * 4 + 1] ?? 0) + random(),
  );
  return { ...table, quality };
}

function slice({ rows, classes, quality }: LabelledTable, from: number, to: number): LabelledTable {
  const values = rows.values.slice(from * rows.tags, to * rows.tags);
  return {
    rows: { ...rows, count: to - from, values },
    classes: classes.slice(from, to),
    quality: quality.slice(from, to),
  };
}
