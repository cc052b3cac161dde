import { expect, test } from 'vitest';
import { Modes } from '../../../src/domain/learning/modes.ts';

test('the values of a status are counted with the time that they were seen, the longest first', () => {
  const modes = new Modes();
  for (const [value, forMs] of [
    [0, 1000],
    [1, 5000],
    [0, 1000],
  ] as const)
    modes.add('running', value, forMs);
  expect(modes.seen()).toEqual([
    { tag: 'running', value: 1, seenMs: 5000 },
    { tag: 'running', value: 0, seenMs: 2000 },
  ]);
});

test.each([
  ['a measurement', [1, 2, 2.5]],
  ['a counter', [1, 2, 3, 4, 5, 6, 7, 8, 9]],
])('%s has no modes, also after its first values', (_what, values) => {
  const modes = new Modes();
  for (const value of [...values, 1]) modes.add('tag', value, 1000);
  expect(modes.seen()).toEqual([]);
});
