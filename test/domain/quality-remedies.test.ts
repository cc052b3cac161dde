import { describe, expect, test } from 'vitest';
import { notReadyText } from '../../src/contracts/window-models.ts';
import { coded, unknownReasons } from '../../src/domain/alarm/unknown-reasons.ts';
import { qualityReasons, reasonCode } from '../../src/domain/sample/quality.ts';
import { qualityRemedies } from '../../src/domain/sample/quality-remedies.ts';
import type { WindowPlan } from '../../src/domain/window/window-plan.ts';
import { createWindower } from '../../src/domain/window/windower.ts';

const unknownReasonOf = (reason: string) => unknownReasons.find(({ pattern }) => pattern.test(reason));

test('every quality reason has its cause and remedy', () => {
  expect(Object.keys(qualityRemedies)).toEqual(qualityReasons.filter((reason) => reason !== 'none'));
});

describe('every reason of an unknown verdict has its cause and remedy', () => {
  const plan: WindowPlan = {
    tags: ['pump-1.pressure'],
    steps: 4,
    stepMs: 1000,
    hopMs: 1000,
    maxAgeMs: 1500,
    latenessMs: 0,
    minGood: 1,
  };

  /** Reasons of the windows of a tag with a good value at these times and a bad one afterwards. */
  function reasonsOf(goodMs: readonly number[], untilMs: number): readonly string[] {
    const reasons: string[] = [];
    const windower = createWindower(plan, 0, ({ reason }) => reasons.push(reason ?? ''));
    for (const timeMs of goodMs) {
      windower.add(0, timeMs, 1, true, 0);
      windower.endBatch();
    }
    windower.add(0, untilMs - 1, 0, false, reasonCode('timeout'));
    windower.advance(untilMs);
    return reasons.filter((reason) => reason !== '');
  }

  test.each([
    ['a tag without a good value', reasonsOf([], 6000), 'TAG: no good value yet (REASON)'],
    ['a tag whose value is old', reasonsOf([0, 1000], 9000), 'TAG: no good value for 12 s (REASON)'],
    [
      'a window with gaps',
      reasonsOf([0, 1000, 2000, 5000, 6000, 6900], 7100),
      'TAG: 3 of 49 values of the window are missing',
    ],
  ])('%s', (_what, reasons, text) => {
    expect(reasons.map((reason) => unknownReasonOf(reason)?.text)).toContain(text);
    expect(reasons.every((reason) => unknownReasonOf(reason) !== undefined)).toBe(true);
  });

  test('a model that is not ready, or has no version yet', () => {
    expect(unknownReasonOf(notReadyText('pump', undefined))?.text).toContain('is not ready');
    const absent = { state: 'absent' } as Parameters<typeof notReadyText>[1];
    expect(unknownReasonOf(notReadyText('pump', absent))?.text).toContain('learning');
  });

  test('has its parameters for translations', () => {
    expect(coded('pump-1.pressure: no good value for 12 s (timeout)')).toEqual({
      code: 'tag-stale',
      parameters: { tag: 'pump-1.pressure', age: '12 s', quality: 'timeout' },
    });
    expect(coded('filling: window filling, 12 of 49 rows')?.parameters).toEqual({ rows: '12', length: '49' });
    expect(coded('an error of the runtime')).toBe(undefined);
  });

  test('and the text of each kind is of that kind', () => {
    for (const kind of unknownReasons) expect(unknownReasonOf(kind.text)).toBe(kind);
  });
});
