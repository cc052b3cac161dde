import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Deadlines } from '../../src/platform/deadlines.ts';
import { FakeClock } from '../support/fake-clock.ts';

test('every deadline that is not cancelled calls once, when it is due; a cancelled one does not', async () => {
  const steps = fc.record({
    delayMs: fc.integer({ min: 0, max: 50 }),
    cancelAfterMs: fc.option(fc.integer({ min: 0, max: 50 })),
    pauseMs: fc.integer({ min: 0, max: 20 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 20 }), async (calls) => {
      const clock = new FakeClock();
      const deadlines = new Deadlines(clock);
      const passed: string[] = [];
      const expected: string[] = [];
      for (const [index, { delayMs, cancelAfterMs, pauseMs }] of calls.entries()) {
        const dueMs = clock.monotonicMs() + delayMs;
        const deadline = deadlines.set(() => passed.push(`${index} at ${clock.monotonicMs()}`), delayMs);
        if (cancelAfterMs !== null) clock.setTimer(() => deadline.cancel(), cancelAfterMs);
        if (cancelAfterMs === null || cancelAfterMs > delayMs) expected.push(`${index} at ${dueMs}`);
        // If call and cancellation are due at the same time, their order is not defined.
        fc.pre(cancelAfterMs !== delayMs);
        await clock.advance(pauseMs);
      }
      await clock.advance(100);
      expect(passed.toSorted()).toEqual(expected.toSorted());
    }),
  );
});

test('one timer serves all calls that end in time', async () => {
  const clock = new FakeClock();
  const deadlines = new Deadlines(clock);
  let timers = 0;
  const setTimer = clock.setTimer.bind(clock);
  clock.setTimer = (...timer) => {
    timers += 1;
    return setTimer(...timer);
  };
  for (let call = 0; call < 1_000; call += 1) {
    const deadline = deadlines.set(() => expect.unreachable('a call that has ended has no deadline'), 1_000);
    await clock.advance(1);
    deadline.cancel();
  }
  await clock.advance(2_000);
  expect(timers).toBeLessThan(3);
});
