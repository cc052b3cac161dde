import { describe, expect, test } from 'vitest';
import { type MachineRegimes, moveFromNearest } from '../../src/domain/model/machine-regimes.ts';
import { sliceRows, type TrainingRows } from '../../src/training/core/training-rows.ts';
import { movedRuns, regimesOf } from '../../src/training/report/regimes.ts';
import { machineRows } from './machine.ts';

/** Centres of the recipes: load, flow, temperature. */
const recipes = [
  [0, 0, 0],
  [40, 6, 30],
  [-30, 4, -25],
];

/** A machine with another recipe in each `length` rows. */
function withRecipes(rows: TrainingRows, length: number): TrainingRows {
  const values = rows.values.map((value, cell) => {
    const recipe = recipes[Math.floor(cell / rows.tags / length) % recipes.length] ?? [];
    return value + (recipe[cell % rows.tags] ?? 0);
  });
  return { ...rows, values };
}

describe('regimes', () => {
  test('are groups of rows far apart, each of which the machine enters more than once', () => {
    const rows = withRecipes(machineRows(3000, 1), 250);
    const regimes = regimesOf([rows]);
    expect(regimes?.centres).toHaveLength(3);
    if (regimes === undefined) return;
    const [moved] = movedRuns(regimes, [rows]);
    const plain = machineRows(3000, 1);
    const offset = (moved?.values[0] ?? 0) - (plain.values[0] ?? 0);
    for (let row = 0; row < rows.count; row += 1) {
      const difference = (moved?.values[row * 3] ?? 0) - (plain.values[row * 3] ?? 0);
      // Centres are means of rows that are not the same in each regime.
      expect(Math.abs(difference - offset)).toBeLessThan(8);
    }
  });

  test('are not the halves of one spread, nor the begin and the end of a drift, nor a state that was entered once', () => {
    const plain = machineRows(3000, 1);
    expect(regimesOf([plain])).toBeUndefined();
    const drift = plain.values.map((value, cell) => value + Math.floor(cell / 3) / 20);
    expect(regimesOf([{ ...plain, values: drift }])).toBeUndefined();
    expect(regimesOf([withRecipes(plain, 1500)])).toBeUndefined();
    expect(regimesOf([sliceRows(plain, 0, 5)])).toBeUndefined();
  });

  test('are chosen by the tags that have a value', () => {
    const regimes: MachineRegimes = {
      reference: [10, 10],
      scales: [1, 1],
      centres: [
        [0, 0],
        [20, 20],
      ],
    };
    const values = Float32Array.of(1, 1, 19, 21, Number.NaN, 22);
    moveFromNearest(regimes, values);
    expect([...values]).toEqual([11, 11, 9, 11, Number.NaN, 12]);
  });
});
