import { expect, test } from 'vitest';
import { type MachineModes, moveToReference, newModeIn } from '../../src/domain/model/machine-modes.ts';

/** Columns: pressure, recipe. */
const modes: MachineModes = {
  column: 1,
  reference: [10, 2],
  values: [
    { value: 1, centre: [5, 1], limit: 1 },
    { value: 3.3, centre: [15, 3.3], limit: 1.5 },
  ],
};

test('each row is moved by the centre of its own mode, also within a window in which the mode changes', () => {
  const window = Float32Array.of(5.5, 1, 14, 3.3, 5, 1);
  moveToReference(modes, window);
  expect([...window]).toEqual([10.5, 2, 9, 2, 10, 2]);
});

test('a value is known in the precision of a window, and a new one is found anywhere in it', () => {
  expect(newModeIn(modes, Float32Array.of(5, 1, 14, 3.3))).toBeUndefined();
  expect(newModeIn(modes, Float32Array.of(5, 7, 14, 3.3))).toBe(7);
  expect(newModeIn(modes, Float32Array.of(5, Number.NaN))).toBeNaN();
});
