import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { reasonCode } from '../../src/domain/sample/quality.ts';
import { AHEAD_MS_MAX } from '../../src/domain/sample/quality-gate.ts';
import type { DueWindow, WindowPlan } from '../../src/domain/window/window-plan.ts';
import { createWindower } from '../../src/domain/window/windower.ts';
import { naiveWindows, type Sample, type Step } from './windower-reference.ts';

const plan = {
  tags: ['vibration', 'current'],
  steps: 3,
  stepMs: 100,
  hopMs: 100,
  maxAgeMs: 250,
  latenessMs: 40,
  minGood: 1,
} as const satisfies WindowPlan;

const timeout = reasonCode('timeout');

/** Runs the steps on a real windower and collects the due windows. */
function windowsOf(ofPlan: WindowPlan, startMs: number, steps: readonly Step[]): readonly DueWindow[] {
  const due: DueWindow[] = [];
  const windower = createWindower(ofPlan, startMs, (window) => due.push(window));
  for (const step of steps) {
    if (step.kind === 'advance') windower.advance(step.nowMs);
    else {
      for (const { column, timeMs, value, good } of step.samples)
        windower.add(column, timeMs, value, good, good ? 0 : timeout);
      windower.endBatch();
    }
  }
  return due;
}

function batch(...samples: readonly [column: number, timeMs: number, value: number][]): Step {
  return { kind: 'batch', samples: samples.map(([column, timeMs, value]) => ({ column, timeMs, value, good: true })) };
}

/** Adds good samples of both tags at each of the times, with the time as value. */
function regular(fromMs: number, toMs: number, everyMs: number): readonly Step[] {
  const steps: Step[] = [];
  for (let timeMs = fromMs; timeMs <= toMs; timeMs += everyMs)
    steps.push(batch([0, timeMs, timeMs], [1, timeMs, -timeMs]));
  return steps;
}

describe('windows of another length', () => {
  /** Returns the windows that are due in the second half of the steps. The length changes between the halves. */
  function afterResize(ofPlan: WindowPlan, rowsFirst: number, steps: readonly Step[]): readonly DueWindow[] {
    let due: DueWindow[] = [];
    const windower = createWindower({ ...ofPlan, steps: rowsFirst }, 10_000, (window) => due.push(window));
    for (const [index, step] of steps.entries()) {
      if (index === steps.length >>> 1) {
        windower.resize(ofPlan.steps);
        due = [];
      }
      if (step.kind === 'advance') windower.advance(step.nowMs);
      else {
        for (const { column, timeMs, value } of step.samples) windower.add(column, timeMs, value, true, 0);
        windower.endBatch();
      }
    }
    return due;
  }

  test.each([100, 'scan'] as const)('have the same rows as with the new length from the start (step %s)', (stepMs) => {
    const rows = fc.integer({ min: 1, max: 8 });
    fc.assert(
      fc.property(rows, rows, fc.integer({ min: 0, max: 30 }), (before, after, count) => {
        const ofPlan = { ...plan, stepMs, hopMs: stepMs, steps: after };
        const steps = regular(10_000, 10_000 + count * 100, 100);
        const due = afterResize(ofPlan, before, steps);
        const allAlong = afterResize(ofPlan, after, steps);
        expect(due).toEqual(allAlong.slice(allAlong.length - due.length));
        expect(allAlong.length - due.length).toBeLessThanOrEqual(Math.max(0, after - before));
      }),
    );
  });
});

describe('windows on a grid', () => {
  const arrivals = fc
    .array(
      fc.record({
        gapMs: fc.integer({ min: 0, max: 120 }),
        samples: fc.array(
          fc.record({
            column: fc.integer({ min: 0, max: 1 }),
            // Up to 400 ms late, and up to 300 ms ahead of the agent's clock.
            delayMs: fc.integer({ min: -300, max: 400 }),
            value: fc.integer({ min: -1000, max: 1000 }),
            good: fc.boolean(),
          }),
          { maxLength: 4 },
        ),
      }),
      { maxLength: 60 },
    )
    .map((batches) => {
      let nowMs = 10_000;
      return batches.flatMap(({ gapMs, samples }): readonly Step[] => {
        nowMs += gapMs;
        const stamped = samples.map(({ delayMs, ...sample }): Sample => ({ ...sample, timeMs: nowMs - delayMs }));
        return [
          { kind: 'advance', nowMs },
          { kind: 'batch', samples: stamped },
        ];
      });
    });

  test('rows match the naive implementation, for any order of arrival, lateness and quality', () => {
    fc.assert(
      fc.property(arrivals, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 3 }), (steps, rows, hop) => {
        const ofPlan = { ...plan, steps: rows, hopMs: hop * 100 };
        const due = windowsOf(ofPlan, 10_000, steps);
        expect(due.map(({ timestampMs, lastRow }) => ({ timestampMs, lastRow }))).toEqual(
          naiveWindows(ofPlan, 10_000, steps),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('a window has the last rows in order, and cannot be judged if one of them misses a value', () => {
    fc.assert(
      fc.property(arrivals, fc.integer({ min: 1, max: 5 }), (steps, rows) => {
        const all = naiveWindows({ ...plan, steps: 1 }, 10_000, steps).map(({ lastRow }) => Array.from(lastRow));
        const due = windowsOf({ ...plan, steps: rows }, 10_000, steps);
        expect(due).toHaveLength(Math.max(0, all.length - rows + 1));
        for (const [index, window] of due.entries()) {
          const cells = all.slice(index, index + rows).flat();
          expect([...(window.values ?? [])]).toEqual(cells.some(Number.isNaN) ? [] : cells);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('a row has the newest value of each tag at or before its grid point, at any rate', () => {
    const [window] = windowsOf({ ...plan, steps: 1 }, 1000, [
      batch([0, 920, 1], [1, 950, 7]),
      batch([0, 990, 2]),
      batch([0, 1010, 3]),
      batch([1, 1050, 8]),
    ]);
    expect(window).toMatchObject({ timestampMs: 1000, values: Float32Array.of(2, 7), reason: undefined });
  });

  test('a row is sealed when every tag has a later sample', () => {
    const steps = [batch([0, 1000, 1]), batch([1, 1000, 2])];
    expect(windowsOf({ ...plan, steps: 1 }, 1000, steps)).toHaveLength(1);
  });

  test('a row is sealed after the lateness if a tag is silent', () => {
    const before = [batch([0, 1000, 1]), { kind: 'advance', nowMs: 1039 } as const];
    expect(windowsOf({ ...plan, steps: 1, maxAgeMs: 0 }, 1000, before)).toHaveLength(0);
    const [window] = windowsOf({ ...plan, steps: 1, maxAgeMs: 0 }, 1000, [...before, { kind: 'advance', nowMs: 1040 }]);
    expect(window?.reason).toBe('current: no good value yet (nothing was received)');
  });

  test('a late sample counts until its row is sealed; later it is counted as late and used for later rows', () => {
    const due: DueWindow[] = [];
    const windower = createWindower({ ...plan, steps: 1 }, 1000, (window) => due.push(window));
    windower.add(0, 1000, 1, true, 0);
    windower.endBatch();
    windower.add(1, 990, 5, true, 0);
    windower.endBatch();
    windower.advance(1040);
    windower.add(1, 995, 6, true, 0);
    windower.endBatch();
    windower.advance(1140);
    expect(due.map(({ lastRow }) => Array.from(lastRow))).toEqual([
      [1, 5],
      [1, 6],
    ]);
    expect(windower.lateSamples).toBe(1);
  });

  test('a value is held for maxAge; then the window has a reason with tag, age and cause', () => {
    const due: DueWindow[] = [];
    const windower = createWindower(plan, 1000, (window) => due.push(window));
    const feed = (timeMs: number, currentIsGood: boolean): void => {
      windower.add(0, timeMs, 1, true, 0);
      windower.add(1, timeMs, 2, currentIsGood, currentIsGood ? 0 : timeout);
      windower.endBatch();
    };
    for (let timeMs = 1000; timeMs <= 1200; timeMs += 100) feed(timeMs, true);
    for (let timeMs = 1300; timeMs <= 1500; timeMs += 100) feed(timeMs, false);
    expect(due.map(({ reason }) => reason)).toEqual([
      undefined,
      undefined,
      undefined,
      'current: no good value for 0.3 s (timeout)',
    ]);
  });

  test('the reason of a window with a past gap has the number of missing values', () => {
    const due = windowsOf({ ...plan, maxAgeMs: 50 }, 1000, [...regular(1000, 1200, 100), ...regular(1400, 1500, 100)]);
    const past = 'vibration: 1 of 3 values of the window are missing; current: 1 of 3 values of the window are missing';
    expect(due.map(({ reason }) => reason)).toEqual([
      undefined,
      expect.stringContaining('vibration: no good value for 0.1 s'),
      past,
      past,
    ]);
  });

  test('gaps within minGood get the previous value, or at the start the first value', () => {
    const samples = [batch([0, 1000, 1], [1, 1050, 5]), batch([0, 1100, 2]), batch([0, 1200, 3], [1, 1200, 9])];
    const [window] = windowsOf({ ...plan, maxAgeMs: 40, minGood: 0.3 }, 900, samples);
    expect(window).toMatchObject({ reason: undefined, values: Float32Array.of(1, 9, 2, 9, 3, 9) });
    const tail = [
      batch([0, 1000, 1], [1, 1000, 5]),
      batch([0, 1100, 2]),
      batch([0, 1200, 3]),
      { kind: 'advance', nowMs: 1240 } as const,
    ];
    const [held] = windowsOf({ ...plan, maxAgeMs: 40, minGood: 0.3 }, 900, tail);
    expect(held?.values).toEqual(Float32Array.of(1, 5, 2, 5, 3, 5));
    expect([...(held?.lastRow ?? [])]).toEqual([3, Number.NaN]);
  });

  test('a tag without any sample is never filled, even with a low minGood', () => {
    const steps = [
      batch([0, 1000, 1]),
      batch([0, 1100, 1]),
      batch([0, 1200, 1]),
      { kind: 'advance', nowMs: 1300 } as const,
    ];
    const [window] = windowsOf({ ...plan, minGood: 0 }, 700, steps);
    expect(window).toMatchObject({ values: undefined, reason: 'current: no good value yet (nothing was received)' });
  });

  test.each([
    [0.5, 2],
    [2 / 3, 2],
    [0.7, 3],
    [0.1, 1],
  ])('a share of %f of three rows is %i good values of each tag', (minGood, goodRows) => {
    for (const good of [goodRows - 1, goodRows]) {
      const steps = [1000, 1100, 1200].map((timeMs, row) =>
        row < good ? batch([0, timeMs, 1], [1, timeMs, 1]) : batch([0, timeMs, 1]),
      );
      const ofPlan = { ...plan, maxAgeMs: 40, minGood };
      const [window] = windowsOf(ofPlan, 900, [...steps, { kind: 'advance', nowMs: 1240 }]);
      expect(window?.values !== undefined).toBe(good === goodRows);
    }
  });

  test('the first row waits until every tag has a value, at most for maxAge', () => {
    const late = [
      batch([0, 1000, 1]),
      batch([0, 1100, 1]),
      batch([0, 1150, 1], [1, 1150, 2]),
      batch([0, 1200, 3], [1, 1200, 4]),
    ];
    const [window] = windowsOf({ ...plan, steps: 1 }, 1000, [...late, { kind: 'advance', nowMs: 1200 }]);
    expect(window).toMatchObject({ timestampMs: 1200, values: Float32Array.of(3, 4) });
    const never = [1000, 1100, 1200, 1300].map((timeMs) => batch([0, timeMs, 1]));
    const due = windowsOf({ ...plan, steps: 1 }, 1000, [...never, { kind: 'advance', nowMs: 1340 }]);
    expect(due.map(({ timestampMs, values }) => [timestampMs, values])).toEqual([[1300, undefined]]);
  });

  test('a sample from before the start, such as a retained message, is not late', () => {
    const windower = createWindower(plan, 1000, () => undefined);
    windower.add(0, 10, 1, true, 0);
    windower.endBatch();
    expect(windower.lateSamples).toBe(0);
  });

  test('windows are due at multiples of the hop since 1970, so that all watches are due together', () => {
    const due = windowsOf({ ...plan, hopMs: 300 }, 1010, regular(1010, 2500, 10));
    expect(due.map(({ timestampMs }) => timestampMs)).toEqual([1500, 1800, 2100, 2400]);
  });

  test('nothing is due before the first window is full', () => {
    expect(windowsOf(plan, 1000, regular(1000, 1100, 100))).toHaveLength(0);
    expect(windowsOf(plan, 1000, regular(1000, 1200, 100))).toHaveLength(1);
  });

  test('a restart discards every value, so that windows never mix times before and after a jump', () => {
    const due: DueWindow[] = [];
    const windower = createWindower(plan, 10_000, (window) => due.push(window));
    for (let timeMs = 10_000; timeMs <= 10_200; timeMs += 100) {
      windower.add(0, timeMs, 1, true, 0);
      windower.add(1, timeMs, 1, true, 0);
      windower.endBatch();
    }
    windower.restart(5000);
    expect(windower.rows).toBe(0);
    for (let timeMs = 5000; timeMs <= 5200; timeMs += 100) {
      windower.add(0, timeMs, 2, true, 0);
      windower.add(1, timeMs, 2, true, 0);
      windower.endBatch();
    }
    expect(due.map(({ timestampMs }) => timestampMs)).toEqual([10_200, 5200]);
    expect([...(due[1]?.values ?? [])]).toEqual([2, 2, 2, 2, 2, 2]);
  });

  test('a gap longer than the window restarts instead of sealing row after row', () => {
    const due: DueWindow[] = [];
    const windower = createWindower(plan, 1000, (window) => due.push(window));
    windower.advance(1_000_000_000_000);
    expect(windower.rows).toBeLessThanOrEqual(1);
    expect(due).toHaveLength(0);
  });

  test('a sample one row past the ring is ignored and does not fill a due row', () => {
    const rowsInRing = Math.ceil((plan.latenessMs + AHEAD_MS_MAX) / plan.stepMs) + 2;
    const [window] = windowsOf({ ...plan, steps: 1 }, 1000, [
      batch([0, 1000 + rowsInRing * plan.stepMs, 99]),
      batch([0, 1000, 1], [1, 1000, 2]),
      { kind: 'advance', nowMs: 1040 },
    ]);
    expect(window).toMatchObject({ timestampMs: 1000, values: Float32Array.of(1, 2) });
  });

  test('a sample as far ahead as the quality gate allows is in the row of its time', () => {
    for (let nowMs = 1000; nowMs < 1200; nowMs += 1) {
      const aheadMs = nowMs + AHEAD_MS_MAX;
      const rowMs = Math.ceil(aheadMs / plan.stepMs) * plan.stepMs;
      const due = windowsOf({ ...plan, steps: 1, maxAgeMs: 1e6 }, 1000, [
        batch([0, 1000, 1], [1, 1000, 2]),
        { kind: 'advance', nowMs },
        batch([0, aheadMs, 7]),
        { kind: 'advance', nowMs: rowMs + plan.latenessMs },
      ]);
      expect(due.at(-1)).toMatchObject({ timestampMs: rowMs, values: Float32Array.of(7, 2) });
    }
  });

  test('a sample far in the future does not start rows', () => {
    const due: DueWindow[] = [];
    const windower = createWindower({ ...plan, steps: 1 }, 1000, (window) => due.push(window));
    windower.add(0, 9_999_999, 1, true, 0);
    windower.add(1, 9_999_999, 1, true, 0);
    windower.endBatch();
    expect(due).toHaveLength(0);
    expect(windower.deadlineMs()).toBe(1040);
  });
});

describe.each([100, 'scan'] as const)('two samples of one tag with the same time (step %s)', (stepMs) => {
  const onePlan: WindowPlan = { ...plan, steps: 1, stepMs, hopMs: stepMs, latenessMs: 0 };

  test('the later arrival counts', () => {
    const sameBatch = [batch([1, 1000, 1], [1, 1000, 2], [0, 1000, 9])];
    expect(windowsOf(onePlan, 1000, sameBatch)).toMatchObject([{ values: Float32Array.of(9, 2) }]);
    const nextBatch = [batch([1, 1000, 1]), batch([1, 1000, 2], [0, 1000, 9])];
    expect(windowsOf(onePlan, 1000, nextBatch)).toMatchObject([{ values: Float32Array.of(9, 2) }]);
  });

  test('the later arrival counts for the rows that follow, if the row of its time is sealed', () => {
    const due = windowsOf(onePlan, 1000, [
      batch([1, 1000, 1], [0, 1000, 9]),
      batch([1, 1000, 2]),
      batch([1, 1050, 2], [0, 1100, 9]),
      { kind: 'advance', nowMs: 1100 },
    ]);
    expect(due.map(({ lastRow }) => [...lastRow])).toEqual([
      [9, 1],
      [9, 2],
    ]);
  });

  test('a bad one does not replace a good one, and gives the reason when the value is too old', () => {
    const due: DueWindow[] = [];
    const windower = createWindower(onePlan, 1000, (window) => due.push(window));
    windower.add(0, 1000, 1, true, 0);
    windower.add(1, 1000, 2, true, 0);
    windower.add(1, 1000, Number.NaN, false, timeout);
    windower.endBatch();
    windower.add(0, 1400, 1, true, 0);
    windower.endBatch();
    windower.advance(1400);
    expect([...(due[0]?.values ?? [])]).toEqual([1, 2]);
    expect(due.at(-1)?.reason).toBe('current: no good value for 0.4 s (timeout)');
  });
});

describe('windows by scan', () => {
  const scanPlan = { ...plan, stepMs: 'scan', hopMs: 'scan', latenessMs: 0, steps: 2 } as const satisfies WindowPlan;

  test("each batch with the first tag makes a row at that tag's time, without waiting", () => {
    const due = windowsOf(scanPlan, 0, [batch([0, 1003, 1], [1, 1005, 7]), batch([1, 1050, 8]), batch([0, 1101, 2])]);
    expect(due).toHaveLength(1);
    expect(due[0]).toMatchObject({ timestampMs: 1101, values: Float32Array.of(1, 7, 2, 8) });
  });

  test('another tag is held up to maxAge and then missing', () => {
    const due = windowsOf(scanPlan, 0, [batch([0, 1000, 1], [1, 1000, 7]), batch([0, 1250, 2]), batch([0, 1251, 3])]);
    expect(due.map(({ reason }) => reason)).toEqual([
      undefined,
      'current: no good value for 0.3 s (nothing was received)',
    ]);
  });

  test('a batch that is not newer than the last row makes no row and counts as late', () => {
    const due: DueWindow[] = [];
    const windower = createWindower(scanPlan, 0, (window) => due.push(window));
    for (const timeMs of [1000, 1100, 1100, 1050]) {
      windower.add(0, timeMs, 1, true, 0);
      windower.add(1, timeMs, 1, true, 0);
      windower.endBatch();
    }
    expect(due).toHaveLength(1);
    expect(windower.lateSamples).toBe(2);
  });

  test('a hop reduces the windows, not the rows', () => {
    const due = windowsOf({ ...scanPlan, hopMs: 200 }, 0, regular(1000, 1500, 50));
    expect(due.map(({ timestampMs }) => timestampMs)).toEqual([1050, 1250, 1450]);
  });

  test('a silent source gives one window with a reason, so that it does not look like a healthy plant', () => {
    const due = windowsOf(scanPlan, 0, [
      ...regular(1000, 1100, 100),
      { kind: 'advance', nowMs: 1349 },
      { kind: 'advance', nowMs: 1350 },
      { kind: 'advance', nowMs: 5000 },
      ...regular(6000, 6000, 100),
    ]);
    expect(due.map(({ timestampMs, reason }) => [timestampMs, reason])).toEqual([
      [1100, undefined],
      [1350, 'vibration: no good value for 0.3 s (nothing was received)'],
      [6000, undefined],
    ]);
  });
});
