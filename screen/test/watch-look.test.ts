import { describe, expect, test } from 'vitest';
import type { WatchView } from '../src/agent/agent-state.ts';
import type { Alarm } from '../src/agent/api-types.ts';
import { lookOf, urgency } from '../src/agent/watch-look.ts';
import { scorePosition, THRESHOLD_AT } from '../src/parts/score-scale.ts';

const watch = (state: WatchView['state'], hop_ms: number | 'scan' = 1000) =>
  ({ state, hop_ms, arrivedMs: 0 }) as WatchView;
const alarm = (state: Alarm['state'], priority: Alarm['priority']) => ({ state, priority }) as Alarm;

describe('the look of a watch', () => {
  test('a verdict counts for two hops and the time that it takes to arrive', () => {
    expect(lookOf(watch('normal'), true, 4500)).toBe('normal');
    expect(lookOf(watch('normal'), true, 4501)).toBe('stale');
    expect(lookOf(watch('abnormal', 10_000), true, 22_501)).toBe('stale');
  });

  test('the page cannot judge the age of a verdict with each scan', () => {
    expect(lookOf(watch('normal', 'scan'), true, 1e6)).toBe('normal');
  });

  test.each(['normal', 'abnormal', 'unknown', 'learning', 'blind'] as const)(
    'without a connection, a watch that was %s has no state',
    (state) => expect(lookOf(watch(state), false, 0)).toBe('away'),
  );

  test('an alarm that waits is more urgent than any state, and a higher priority more than a lower one', () => {
    const order = [
      urgency('normal', alarm('unacknowledged', 'critical')),
      urgency('abnormal', alarm('unacknowledged', 'low')),
      urgency('normal', alarm('returned-unacknowledged', 'critical')),
      urgency('abnormal', alarm('acknowledged', 'critical')),
      urgency('abnormal', alarm('shelved', 'critical')),
      urgency('blind', undefined),
      urgency('unknown', undefined),
      urgency('learning', undefined),
      urgency('normal', undefined),
    ];
    expect(order.toSorted((a, b) => b - a)).toEqual(order);
    expect(new Set(order).size).toBe(order.length);
  });
});

describe('the bar of a score', () => {
  test('has the threshold at its place, and grows with the logarithm of the score', () => {
    expect(scorePosition(1, 1)).toBeCloseTo(THRESHOLD_AT);
    expect(scorePosition(490, 490, 'below')).toBeCloseTo(THRESHOLD_AT);
    expect(scorePosition(0, 1)).toBe(0);
    expect(scorePosition(100, 1)).toBe(1);
    expect(scorePosition(0.1, 1)).toBeGreaterThan(0.15);
  });

  test('a score below its lower threshold is on the abnormal side', () => {
    expect(scorePosition(400, 490, 'below')).toBeGreaterThan(THRESHOLD_AT);
    expect(scorePosition(500, 490, 'below')).toBeLessThan(THRESHOLD_AT);
  });

  test('is empty without a score or a ratio', () => {
    expect(scorePosition(null, 1)).toBeUndefined();
    expect(scorePosition(1, 0)).toBeUndefined();
  });
});
