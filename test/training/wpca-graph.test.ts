import { describe, expect, test } from 'vitest';
import { estimatedScore } from '../../src/domain/model/imputation.ts';
import { sliceRows, type TrainingRows } from '../../src/training/core/training-rows.ts';
import { wpcaAlgorithm } from '../../src/training/wpca/wpca-detector.ts';
import { parityGap } from './graph-parity.ts';
import { machineRows, steadyRows } from './machine.ts';
import { runGraph } from './run-graph.ts';
import { skabFiles, skabRows } from './skab.ts';

describe('the graph judges as the fit does', () => {
  test.each([
    ['normal running', machineRows(300, 8)],
    ['a shifted tag', machineRows(400, 8, 200)],
    ['a stuck tag', changed(machineRows(300, 8), () => 20)],
    ['a noisy tag', changed(machineRows(300, 8), (value, row) => value + (row % 2))],
    ['a small shift that lasts', changed(machineRows(300, 8), (value) => value + 0.05)],
  ])('on %s', async (_, rows) => {
    expect(await gapOn(machineRows(700, 7), rows)).toSatisfy(small);
  });

  test('a single tag is judged by its own past', async () => {
    const { count, values } = machineRows(400, 5);
    const level = { count, tags: 1, values: values.filter((_, index) => index % 3 === 0) };
    expect(await gapOn(level, level)).toSatisfy(small);
  });

  test('a tag that never moved in training does not make the score infinite', async () => {
    const rows = appendConstant(machineRows(300, 4), 42);
    expect(await gapOn(appendConstant(machineRows(500, 3), 42), rows)).toSatisfy(small);
  });

  test('a small movement on a large offset keeps its digits in float32', async () => {
    const far = (rows: TrainingRows) => ({ ...rows, values: rows.values.map((value) => Math.fround(value + 4096)) });
    expect(await gapOn(far(machineRows(600, 7)), far(machineRows(300, 8)))).toSatisfy(small);
  });

  test('the shares add up to one, and name the tag that left its place', async () => {
    const fitted = await fit(machineRows(600, 7));
    const rows = machineRows(700, 8, 400);
    const window = Float32Array.from(sliceRows(rows, 700 - fitted.windowRows, 700).values);
    const { contributions } = await runGraph(fitted.graph(), window, [1, fitted.windowRows, 3]);
    const shares = Array.from(contributions);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
    expect(shares.indexOf(Math.max(...shares))).toBe(1);
  });

  test('the parts of the tags in each measure give the score again: their sum for three, the largest for roughness', async () => {
    const fitted = await fit(machineRows(600, 7));
    const rows = changed(machineRows(300, 8), (value, row) => value + (row % 2) * 0.1);
    for (const end of [90, 150, 300]) {
      const window = Float32Array.from(sliceRows(rows, end - fitted.windowRows, end).values);
      const { score, parts } = await runGraph(fitted.graph(), window, [1, fitted.windowRows, 3]);
      const measures = fitted.imputation?.measures ?? [];
      expect(estimatedScore({ measures }, Array.from(parts), []).score).toBeCloseTo(score[0] ?? Number.NaN, 4);
    }
  });

  test('two hours of training add a mean over more rows, in the graph as in the fit', async () => {
    const fitted = await fit(steadyRows(7200, 7));
    expect(fitted.windowRows).toBe(139);
    expect(fitted.imputation?.measures).toEqual(['sum', 'sum', 'sum', 'largest', 'sum']);
    const steady = steadyRows(400, 8);
    const rows = { ...steady, values: steady.values.map((value, cell) => value + (cell > 400 ? (cell % 4) / 3 : 0)) };
    expect(await parityGap(fitted, { ...rows, values: rows.values.map(Math.fround) })).toSatisfy(small);
    const window = Float32Array.from(sliceRows(rows, 400 - fitted.windowRows, 400).values);
    const { score, parts } = await runGraph(fitted.graph(), window, [1, fitted.windowRows, 2]);
    const measures = fitted.imputation?.measures ?? [];
    expect(estimatedScore({ measures }, Array.from(parts), []).score).toBeCloseTo(score[0] ?? Number.NaN, 4);
  });

  test('the same rows always give the same bytes', async () => {
    const bytes = async () => (await fit(machineRows(600, 7))).graph();
    expect(await bytes()).toEqual(await bytes());
  });
});

describe.skipIf(skabFiles.length === 0)('the graph judges a real pump test bed as the fit does', () => {
  test.each(skabFiles.slice(0, 4))('SKAB valve1/%s', async (file) => {
    const rows = skabRows(file);
    expect(await gapOn(sliceRows(rows, 0, 400), rows)).toSatisfy(small);
  });
});

type Gap = Awaited<ReturnType<typeof parityGap>>;

const small = ({ score, contributions }: Gap) => score < 1e-4 && contributions < 1e-3;

/** @param exact Judged on values as float32 has them. */
async function gapOn(training: TrainingRows, exact: TrainingRows): Promise<Gap> {
  return parityGap(await fit(training), { ...exact, values: exact.values.map(Math.fround) });
}

function fit(rows: TrainingRows) {
  const order = { task: 'anomaly', segments: [rows], targets: undefined, classes: [], windowRows: undefined } as const;
  return wpcaAlgorithm.fit({ ...order, seed: 1, onProgress: () => undefined });
}

/** Changes the second of three tags from row 100 on. */
function changed(rows: TrainingRows, change: (value: number, row: number) => number): TrainingRows {
  const values = rows.values.map((value, index) => {
    const row = Math.floor(index / 3);
    return index % 3 === 1 && row >= 100 ? change(value, row) : value;
  });
  return { ...rows, values };
}

function appendConstant({ count, tags, values }: TrainingRows, constant: number): TrainingRows {
  const wider = Array.from({ length: count }, (_, row) => [...values.subarray(row * tags, (row + 1) * tags), constant]);
  return { count, tags: tags + 1, values: Float64Array.from(wider.flat()) };
}
