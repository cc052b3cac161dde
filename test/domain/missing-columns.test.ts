import { describe, expect, test } from 'vitest';
import type { DueWindow, WindowPlan } from '../../src/domain/window/window-plan.ts';
import { createWindower } from '../../src/domain/window/windower.ts';

const plan: WindowPlan = {
  tags: ['vibration', 'current'],
  steps: 3,
  stepMs: 100,
  hopMs: 100,
  maxAgeMs: 250,
  latenessMs: 40,
  minGood: 1,
};

type Sample = readonly [column: number, timeMs: number, value: number];

/** Returns the windows of batches of good samples, after which time passes up to `untilMs`. */
function windowsOf(ofPlan: WindowPlan, batches: readonly (readonly Sample[])[], untilMs: number) {
  const due: DueWindow[] = [];
  const windower = createWindower(ofPlan, 10_000, (window) => due.push(window));
  for (const samples of batches) {
    for (const [column, timeMs, value] of samples) windower.add(column, timeMs, value, true, 0);
    windower.endBatch();
  }
  windower.advance(untilMs);
  return due;
}

describe('a tag without good values', () => {
  const oneTag = Array.from({ length: 12 }, (_, index): Sample[] => [[0, 10_000 + index * 100, index]]);

  test('leaves its whole column open if the model may estimate one tag', () => {
    const last = windowsOf({ ...plan, missingTagsMax: 1 }, oneTag, 11_140).at(-1);
    expect(last?.missing).toEqual([1]);
    const cells = [...(last?.values ?? [])].map((value) => (Number.isNaN(value) ? 'missing' : value));
    expect(cells).toEqual([9, 'missing', 10, 'missing', 11, 'missing']);
    expect(last?.reason).toBe('current: no good value yet (nothing was received)');
  });

  test('makes a window that cannot be judged if none may be estimated', () => {
    const last = windowsOf(plan, oneTag, 11_140).at(-1);
    expect([last?.values, last?.missing]).toEqual([undefined, undefined]);
    expect(last?.reason).toContain('current: no good value yet');
  });

  test('is left open as a whole, also where it has good cells: measured and estimated cells do not mix', () => {
    const both = [0, 1].map((index): Sample[] => [
      [0, 10_000 + index * 100, index],
      [1, 10_000 + index * 100, 5],
    ]);
    const alone = [2, 3, 4, 5].map((index): Sample[] => [[0, 10_000 + index * 100, index]]);
    const windows = windowsOf({ ...plan, missingTagsMax: 1 }, [...both, ...alone], 10_600);
    const open = windows.find(({ missing }) => missing !== undefined);
    expect([...(open?.values ?? [])].filter((_, cell) => cell % 2 === 1).every(Number.isNaN)).toBe(true);
    expect(open?.reason).toBe('current: no good value for 0.3 s (nothing was received)');
  });
});
