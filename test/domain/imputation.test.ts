import { expect, test } from 'vitest';
import { estimatedScore, estimateOf, type Imputation } from '../../src/domain/model/imputation.ts';

/** Returns a matrix as model.yaml has it. */
function triangle(matrix: readonly (readonly number[])[]): string {
  const cells = matrix.flatMap((row, index) => row.slice(index));
  return Buffer.from(Float32Array.from(cells).buffer).toString('base64');
}

/** Three tags without lags: the correlation of the first two is 0.8, the third is independent. */
const imputation: Imputation = {
  means: [100, 20, 5],
  deviations: [10, 2, 1],
  lags: 1,
  precision: triangle([
    [1 / 0.36, -0.8 / 0.36, 0],
    [-0.8 / 0.36, 1 / 0.36, 0],
    [0, 0, 1],
  ]),
  parts: 'parts',
  measures: ['sum', 'largest'],
};

test('a missing tag gets its expectation, given the other tags', () => {
  const window = Float32Array.of(Number.NaN, 22, 5, Number.NaN, 18, 9);
  estimateOf(imputation, [0], 2)?.fill(window);
  // One deviation of the second tag is 0.8 deviations of the first; the third has no part in it.
  expect([...window].map((value) => Math.round(value * 1e3) / 1e3)).toEqual([108, 22, 5, 92, 18, 9]);
});

test('two missing tags are estimated from the third alone: both have their means', () => {
  const window = Float32Array.of(Number.NaN, Number.NaN, 7);
  estimateOf(imputation, [0, 1], 1)?.fill(window);
  expect([...window].map((value) => Math.round(value * 1e3) / 1e3)).toEqual([100, 20, 7]);
});

test('with lags, the estimate is the least of the quadratic form of all stacks of the window', () => {
  // Two tags, two lags; any positive definite matrix.
  const p = [
    [3, -1, -0.6, 0.2],
    [-1, 2, 0.3, -0.5],
    [-0.6, 0.3, 2.5, -0.9],
    [0.2, -0.5, -0.9, 1.8],
  ];
  const lagged = { ...imputation, means: [0, 0], deviations: [1, 1], lags: 2, precision: triangle(p) };
  const energy = (x: ArrayLike<number>) => {
    let sum = 0;
    for (let row = 1; row < x.length / 2; row += 1) {
      const stack = [x[row * 2], x[row * 2 + 1], x[row * 2 - 2], x[row * 2 - 1]].map((value) => value ?? 0);
      for (const [a, left] of stack.entries())
        for (const [b, right] of stack.entries()) sum += left * (p[a]?.[b] ?? 0) * right;
    }
    return sum;
  };
  const window = Float32Array.of(Number.NaN, 1, Number.NaN, -2, Number.NaN, 0.5, Number.NaN, 3);
  estimateOf(lagged, [0], 4)?.fill(window);
  for (const row of [0, 1, 2, 3])
    for (const step of [-1e-2, 1e-2]) {
      const moved = window.slice();
      moved[row * 2] = (moved[row * 2] ?? 0) + step;
      expect(energy(moved)).toBeGreaterThan(energy(window));
    }
});

test.each([
  ['a tag that another one explains', [0], 1 + 0.36 / 2],
  ['an independent tag', [2], 1 + 1 / 2],
  ['two tags, one left', [0, 1], 1 + 2],
])('the limit is wider by the variance that %s leaves open', (_, missing, widening) => {
  expect(estimateOf(imputation, missing, 3)?.widening).toBeCloseTo(widening, 6);
});

test('without a tag that is present, or with a matrix that has no solution, nothing is estimated', () => {
  const singular = triangle([
    [0, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ]);
  expect(estimateOf(imputation, [0, 1, 2], 3)).toBeUndefined();
  expect(estimateOf({ ...imputation, precision: singular }, [0], 3)).toBeUndefined();
  expect(estimateOf({ ...imputation, precision: 'AAAA' }, [0], 3)).toBeUndefined();
});

test('an estimated tag decides no measure of single tags, and has no part in the score', () => {
  const parts = [0.2, 0.5, 0.1, 9, 0.3, 0.4];
  expect(estimatedScore(imputation, parts, [0])).toEqual({ score: 0.2 + 0.5 + 0.1, parts: [0, 0.5, 0.1] });
  expect(estimatedScore(imputation, [0.2, 0.5, 0.1, 9, 0.3, 1.4], [0])).toEqual({ score: 1.4, parts: [0, 0.3, 1.4] });
});

test('of 200 tags, a quarter is estimated and 60 are not: it would take too long on the thread that reads the sources', () => {
  const [tags, lags] = [200, 3];
  const size = tags * lags;
  const cells = new Float32Array((size * (size + 1)) / 2);
  for (let row = 0, cell = 0; row < size; cell += size - row, row += 1) cells[cell] = 1;
  const wide = {
    ...imputation,
    means: Array.from({ length: tags }, () => 0),
    deviations: Array.from({ length: tags }, () => 1),
    lags,
    precision: Buffer.from(cells.buffer).toString('base64'),
  };
  const columns = (count: number) => Array.from({ length: count }, (_, column) => column);
  expect(estimateOf(wide, columns(50), 62)).toBeDefined();
  expect(estimateOf(wide, columns(60), 62)).toBeUndefined();
});
