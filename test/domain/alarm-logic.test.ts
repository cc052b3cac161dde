import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  acknowledge,
  type AlarmMemory,
  type AlarmRules,
  applyVerdict,
  endSuppression,
  noDelay,
  shelve,
  suppress,
} from '../../src/domain/alarm/alarm-logic.ts';
import { type AlarmFacts, alarmState, normalFacts } from '../../src/domain/alarm/alarm.ts';

type Reading = 'normal' | 'abnormal' | 'uncertain' | 'unknown';

const rules: AlarmRules = { onDelayMs: 3000, offDelayMs: 2000 };
const atOnce: AlarmRules = { onDelayMs: 0, offDelayMs: 0 };
const normal: AlarmMemory = { facts: normalFacts, delay: noDelay };
const byLea = { by: 'Lea', timestampMs: 0, comment: undefined };
const active: AlarmFacts = { ...normalFacts, active: true, acknowledged: false };

/** Applies one verdict per second. Returns the second and the cause of each change. */
function changes(readings: readonly Reading[], ofRules = rules, start = normal): readonly [number, string][] {
  let memory = start;
  return readings.flatMap((reading, second): readonly [number, string][] => {
    const step = applyVerdict(memory, reading, second * 1000, ofRules);
    memory = step.memory;
    return step.change === undefined ? [] : [[second, step.change]];
  });
}

const repeat = (reading: Reading, times: number): readonly Reading[] => Array.from({ length: times }, () => reading);

describe('an alarm is raised and clears with its delays', () => {
  test('it is raised when verdicts have been abnormal for the on-delay', () => {
    expect(changes(repeat('abnormal', 6))).toEqual([[3, 'raised']]);
  });

  test('without an on-delay the first abnormal verdict raises it', () => {
    expect(changes(['normal', 'abnormal'], atOnce)).toEqual([[1, 'raised']]);
  });

  test('a normal verdict resets the on-delay', () => {
    expect(changes(['abnormal', 'abnormal', 'abnormal', 'normal', ...repeat('abnormal', 3)])).toEqual([]);
    expect(changes(['abnormal', 'abnormal', 'abnormal', 'normal', ...repeat('abnormal', 4)])).toHaveLength(1);
  });

  test('it clears when verdicts have been normal for the off-delay', () => {
    const start = { facts: active, delay: noDelay };
    expect(changes(repeat('normal', 4), rules, start)).toEqual([[2, 'cleared']]);
    expect(changes(['normal', 'normal', 'abnormal', 'normal', 'normal'], rules, start)).toEqual([]);
  });

  test.each(['unknown', 'uncertain'] as const)('%s neither raises nor clears', (reading) => {
    expect(changes(repeat(reading, 20))).toEqual([]);
    expect(changes(repeat(reading, 20), atOnce, { facts: active, delay: noDelay })).toEqual([]);
  });

  test('unknown pauses the on-delay: its progress is kept, and the unknown time does not count', () => {
    const readings: readonly Reading[] = [
      'abnormal',
      'abnormal',
      'abnormal',
      ...repeat('unknown', 60),
      'abnormal',
      'abnormal',
    ];
    expect(changes(readings)).toEqual([[64, 'raised']]);
  });

  test('unknown pauses the off-delay in the same way', () => {
    const start = { facts: active, delay: noDelay };
    expect(changes(['normal', 'normal', 'unknown', 'normal', 'normal'], rules, start)).toEqual([[4, 'cleared']]);
  });

  test('a clock that goes back neither raises nor delays an alarm', () => {
    const times = [10_000, 11_000, 5000, 6000, 7000];
    let memory = normal;
    const causes = times.map((timestampMs) => {
      const step = applyVerdict(memory, 'abnormal', timestampMs, rules);
      memory = step.memory;
      return step.change;
    });
    expect(causes).toEqual([undefined, undefined, undefined, undefined, 'raised']);
  });

  test('raising and clearing alternate, for any sequence of verdicts', () => {
    const reading = fc.constantFrom<Reading>('normal', 'abnormal', 'unknown');
    fc.assert(
      fc.property(fc.array(reading, { maxLength: 200 }), (readings) => {
        const causes = changes(readings).map(([, cause]) => cause);
        expect(causes).toEqual(causes.map((_, index) => (index % 2 === 0 ? 'raised' : 'cleared')));
      }),
    );
  });
});

describe('ISA-18.2 states', () => {
  const after = (facts: AlarmFacts, reading: Reading): AlarmFacts =>
    applyVerdict({ facts, delay: noDelay }, reading, 0, atOnce).memory.facts;

  test('normal → unacknowledged when it is raised', () => {
    expect(alarmState(after(normalFacts, 'abnormal'))).toBe('unacknowledged');
  });

  test('unacknowledged → acknowledged by the operator', () => {
    const facts = acknowledge(active, byLea);
    expect(facts && alarmState(facts)).toBe('acknowledged');
  });

  test('acknowledged → normal when the plant returns to normal', () => {
    expect(alarmState(after({ ...active, acknowledged: true }, 'normal'))).toBe('normal');
  });

  test('unacknowledged → returned-unacknowledged when the plant returns to normal', () => {
    expect(alarmState(after(active, 'normal'))).toBe('returned-unacknowledged');
  });

  test('returned-unacknowledged → normal by the operator', () => {
    const facts = acknowledge(after(active, 'normal'), byLea);
    expect(facts && alarmState(facts)).toBe('normal');
  });

  test('returned-unacknowledged → unacknowledged when it is raised again', () => {
    expect(alarmState(after(after(active, 'normal'), 'abnormal'))).toBe('unacknowledged');
  });

  test('an acknowledged alarm that is raised again after it was normal must be acknowledged again', () => {
    const acknowledged = { ...active, acknowledged: true };
    expect(alarmState(after(after(acknowledged, 'normal'), 'abnormal'))).toBe('unacknowledged');
  });

  test('an acknowledged, normal or suppressed alarm cannot be acknowledged', () => {
    expect(acknowledge(normalFacts, byLea)).toBeUndefined();
    expect(acknowledge({ ...active, acknowledged: true }, byLea)).toBeUndefined();
    expect(acknowledge({ ...active, suppression: 'shelved' }, byLea)).toBeUndefined();
  });

  test('a shelved alarm stays shelved while its facts are updated', () => {
    const shelved = shelve(normalFacts, 1000) ?? normalFacts;
    const raised = after(shelved, 'abnormal');
    expect([alarmState(shelved), alarmState(raised), raised.active]).toEqual(['shelved', 'shelved', true]);
  });

  test('an alarm that is active when shelving ends annunciates again, even if it was acknowledged before', () => {
    for (const acknowledged of [true, false]) {
      const shelved = shelve({ ...active, acknowledged }, 1000) ?? normalFacts;
      expect(alarmState(endSuppression(shelved))).toBe('unacknowledged');
    }
  });

  test('an alarm that is not active when shelving ends is normal', () => {
    const shelved = shelve(active, 1000) ?? normalFacts;
    expect(endSuppression(after(shelved, 'normal'))).toEqual(normalFacts);
  });

  test('shelving again changes the end time', () => {
    expect(shelve(shelve(active, 1000) ?? active, 2000)?.shelvedUntilMs).toBe(2000);
  });

  test('out of service has priority over shelving and suppression by design', () => {
    const out = suppress(shelve(active, 1000) ?? active, 'out-of-service') ?? active;
    expect([alarmState(out), out.shelvedUntilMs]).toEqual(['out-of-service', undefined]);
    expect(shelve(out, 1000)).toBeUndefined();
    expect(suppress(out, 'suppressed-by-design')).toBeUndefined();
    expect(suppress(out, 'out-of-service')).toBeUndefined();
  });
});
