import { afterEach, describe, expect, test } from 'vitest';
import type { Alarm } from '../src/agent/api-types.ts';
import { alarmName, alarmText } from '../src/parts/alarm-text.ts';
import { reasonDetail, reasonText } from '../src/parts/reason-text.ts';
import { useLanguage } from '../src/texts/language.ts';

afterEach(() => useLanguage('en'));

const raised = (cause: Alarm['cause'], parameters: Alarm['parameters']) => ({
  cause,
  parameters,
  message: 'of the agent',
});
const score = raised('score-above-threshold', {
  watch: 'pump-1',
  score: 1.3712,
  threshold: 1,
  tag: 'pump-1.vibration',
  value: 4.2,
  unit: 'g',
  share: 0.62,
  normal_low: 0.698,
  normal_high: 0.936,
});

describe('the sentence of an alarm', () => {
  test.each([
    [
      'en',
      'pump-1.vibration is at 4.2 g (normally 0.698 to 0.936 g; 62% of the score): the score of pump-1 is 1.371, above its threshold of 1.',
    ],
    [
      'de',
      'pump-1.vibration: 4,2 g (normal 0,698 bis 0,936 g; 62\u00a0% des Werts): der Wert von pump-1 ist 1,371, über der Schwelle 1.',
    ],
    ['zh', 'pump-1.vibration 为 4.2 g (正常范围 0.698 至 0.936 g; 占得分的 62%)：pump-1 的得分为 1.371，高于阈值 1。'],
  ] as const)('is in the language of the page: %s', async (language, text) => {
    await useLanguage(language);
    expect(alarmText(score)).toBe(text);
  });

  test('names limits and components, and what returned', async () => {
    const limit = { tag: 'pump-1.pressure', level: 'high', value: 13, limit: 12, unit: 'bar' };
    await useLanguage('de');
    expect(alarmText(raised('value-above-limit', limit))).toBe(
      'pump-1.pressure liegt bei 13 bar, über dem Grenzwert high von 12 bar.',
    );
    expect(alarmText(raised('returned-to-normal', { component: 'source plc-1' }))).toBe(
      'Quelle plc-1 arbeitet wieder.',
    );
    expect(alarmName({ alarm: 'diagnostic/source/plc-1' })).toBe('Quelle plc-1');
    expect(alarmName({ alarm: 'limit/pump-1.pressure/high' })).toBe('pump-1.pressure high');
    expect(alarmName({ alarm: 'watch/pump-1' })).toBe('pump-1');
  });

  test('is that of the agent if the record has no parameters', () => {
    expect(alarmText(raised('score-above-threshold', {}))).toBe('of the agent');
    expect(alarmText({ ...raised('acknowledged', {}), cause: 'acknowledged' })).toBe('of the agent');
  });
});

test('the reason of a component in trouble is in the language of the page, with the words of the agent', async () => {
  const reason = { reason: '10.0.0.7:502 could not be reached', reason_code: 'modbus-connect-failed' };
  await useLanguage('en');
  expect([reasonText(reason), reasonDetail(reason)]).toEqual(['10.0.0.7:502 could not be reached', '']);
  await useLanguage('de');
  expect([reasonText(reason), reasonDetail(reason)]).toEqual([
    'Keine Verbindung zum Modbus-Gerät',
    '10.0.0.7:502 could not be reached',
  ]);
  expect(alarmText(raised('component-in-trouble', { component: 'source plc-1', ...reason }))).toBe(
    'Quelle plc-1 ist gestört: Keine Verbindung zum Modbus-Gerät (10.0.0.7:502 could not be reached)',
  );
  await useLanguage('zh');
  expect(reasonText(reason)).toBe('无法连接 Modbus 设备');
  expect(reasonText({ ...reason, reason_code: 'ECONNREFUSED' })).toBe('10.0.0.7:502 could not be reached');
});

test('the reason of an unknown verdict is in the language of the page, or else in that of the agent', async () => {
  const reason = {
    reason: 'level: no good value for 12 s (timeout)',
    reason_code: 'tag-stale',
    reason_parameters: { tag: 'level', age: '12 s', quality: 'timeout' },
  };
  await useLanguage('de');
  expect(reasonText(reason)).toBe('level: seit 12 s kein guter Wert (keine Antwort in der Zeit)');
  expect(reasonText({ reason: 'onnxruntime failed' })).toBe('onnxruntime failed');
});
