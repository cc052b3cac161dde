import { expect, test } from 'vitest';
import { scoreMessage } from '../../src/domain/alarm/alarm-message.ts';

const vibration = { tag: 'pump-1.vibration', value: 4.2, unit: 'g', share: 0.62 };
const occasion = { watch: 'pump-1', score: 1.3712, threshold: 1 };

test('an alarm names the tag with the largest share, its value and its normal range', () => {
  const tags = [{ ...vibration, normalRange: [0.698, 0.9361] as const }];
  expect(scoreMessage('score-above-threshold', { ...occasion, tags })).toBe(
    'pump-1.vibration is at 4.2 g (normally 0.698 to 0.9361 g; 62 % of the score): the score of pump-1 is 1.371, above its threshold of 1.',
  );
});

test('without a normal range the message does not mention one', () => {
  expect(scoreMessage('score-above-threshold', { ...occasion, tags: [vibration] })).toContain(
    'pump-1.vibration is at 4.2 g (62 % of the score)',
  );
});
