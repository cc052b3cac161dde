import { expect, test } from 'vitest';
import { windowTexts } from '../src/models/try-out-inputs.ts';

const series = (tag: string, samples: readonly (readonly [number, number])[]) => ({
  tag,
  timestamps_ms: samples.map(([timeMs]) => timeMs),
  values: samples.map(([, value]) => value),
});

test('the last window has a row at each step up to the newest sample, with each value held until the next one', () => {
  const often = series('a', [
    [900, 1],
    [1100, 2],
    [2050, 3],
    [3020, 4],
  ]);
  const rarely = series('b', [[1500, 7]]);
  // Rows at 1000, 2000 and 3000 ms. `b` has no sample before the first of them.
  expect(windowTexts([often, rarely], 3, 1000)).toEqual(['1 2 3', '7 7 7']);
});

test('a tag without samples stays empty', () => {
  expect(windowTexts([series('a', []), series('b', [[2000, 5]])], 2, 1000)).toEqual(['', '5 5']);
});
