import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type LiveSample, refill, refillSpanMs } from '../../src/domain/window/refill.ts';
import type { DueWindow, Windower, WindowPlan } from '../../src/domain/window/window-plan.ts';
import { createWindower } from '../../src/domain/window/windower.ts';

type Sample = { readonly column: number; readonly timeMs: number; readonly value: number; readonly good: boolean };

const BASE_MS = Date.UTC(2026, 0, 1);
const plan: WindowPlan = {
  tags: ['a', 'b'],
  steps: 5,
  stepMs: 100,
  hopMs: 100,
  maxAgeMs: 400,
  latenessMs: 50,
  minGood: 0,
};

/** Scans every 40 ms: the first tag, and the second 3 ms later, sometimes not good. */
const scans = fc
  .array(
    fc.record({
      a: fc.float({ noNaN: true, min: -100, max: 100 }),
      b: fc.float({ noNaN: true, min: -100, max: 100 }),
      bad: fc.nat(9),
    }),
    {
      minLength: 60,
      maxLength: 60,
    },
  )
  .map((values) =>
    values.map(({ a, b, bad }, index): readonly Sample[] => {
      const timeMs = BASE_MS + index * 40;
      return [
        { column: 0, timeMs, value: a, good: true },
        { column: 1, timeMs: timeMs + 3, value: b, good: bad > 1 },
      ];
    }),
  );

function feed(windower: Windower, batches: readonly (readonly Sample[])[]): void {
  for (const batch of batches) {
    windower.advance(batch[0]?.timeMs ?? 0);
    for (const { column, timeMs, value, good } of batch) windower.add(column, timeMs, value, good, good ? 0 : 1);
    windower.endBatch();
  }
}

function recorded(batches: readonly (readonly Sample[])[], fromMs: number) {
  return plan.tags.map((_, column) => {
    const samples = batches
      .flat()
      .filter((sample) => sample.column === column && sample.good && sample.timeMs >= fromMs);
    return {
      timesMs: Float64Array.from(samples, ({ timeMs }) => timeMs),
      values: Float64Array.from(samples, ({ value }) => value),
    };
  });
}

describe.each([100, 'scan'] as const)('a window of step %s that is filled from the history', (stepMs) => {
  const ofStep = { ...plan, stepMs, hopMs: stepMs };

  test('continues as the window that ran all the time, with samples that arrived while the history was read', () => {
    fc.assert(
      fc.property(scans, fc.integer({ min: 30, max: 44 }), fc.nat(4), (batches, readAt, arrived) => {
        const windows = { all: [] as DueWindow[], refilled: [] as DueWindow[] };
        const running = createWindower(ofStep, BASE_MS, (window) => windows.all.push(window));
        feed(running, batches);

        const nowMs = (batches[readAt]?.[0]?.timeMs ?? 0) - 1;
        const fromMs = nowMs - refillSpanMs(ofStep);
        const since = batches
          .slice(readAt, readAt + arrived)
          .flatMap((batch): readonly LiveSample[] => [
            ...batch.map(({ column, timeMs, value, good }): LiveSample => [column, timeMs, value, good, good ? 0 : 1]),
            'end of batch',
          ]);
        let live = false;
        const other = createWindower(ofStep, fromMs, (window) => live && windows.refilled.push(window));
        const series = recorded(batches.slice(0, readAt), fromMs);
        const swapMs = (batches[readAt + arrived]?.[0]?.timeMs ?? 0) - 1;
        fc.pre(refill(other, ofStep, series, since, swapMs));
        live = true;
        feed(other, batches.slice(readAt + arrived));
        expect(windows.refilled.length).toBeGreaterThan(0);
        expect(windows.refilled).toEqual(windows.all.slice(-windows.refilled.length));
        // It was full when it began to run.
        expect(windows.refilled[0]?.timestampMs).toBeLessThanOrEqual(swapMs + 200);
      }),
      { numRuns: 200 },
    );
  });

  test('is not filled across a gap that is longer than a value is held', () => {
    const windower = createWindower(ofStep, BASE_MS, () => undefined);
    const series = [0, 1].map(() => ({ timesMs: Float64Array.of(BASE_MS), values: Float64Array.of(1) }));
    expect(refill(windower, ofStep, series, [], BASE_MS + 401)).toBe(false);
    expect(windower.rows).toBe(0);
  });
});
