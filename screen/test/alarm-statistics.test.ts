// @vitest-environment happy-dom
import { describe, expect, test } from 'vitest';
import type { JournalEntry } from '../src/agent/api-types.ts';
import { alarmStatistics } from '../src/alarms/alarm-statistics.ts';
import { journalCsv } from '../src/alarms/journal.ts';
import { csvField } from '../src/parts/csv.ts';

const HOUR_MS = 3_600_000;
const startMs = Date.UTC(2026, 0, 5, 12);
let number = 0;
const raised = (alarm: string, atMs: number, fields: Partial<JournalEntry> = {}): JournalEntry => ({
  id: `edge/1/${(number += 1)}`,
  alarm,
  timestamp_ms: startMs + atMs,
  state: 'unacknowledged',
  previous: 'normal',
  change: 'score-above-threshold',
  cause: 'score-above-threshold',
  priority: 'high',
  message: '',
  ...fields,
});
const hour = { fromMs: startMs, toMs: startMs + HOUR_MS };

describe('the statistics of alarms', () => {
  test('count raised alarms only, in spans of ten minutes', () => {
    const changes = [
      raised('watch/a', 1000),
      raised('watch/a', 2000, { state: 'acknowledged', change: 'acknowledged' }),
      raised('watch/b', 3000, { state: 'normal', change: 'returned-to-normal' }),
      raised('watch/b', 1_000_000),
      raised('watch/b', 1_100_000, { change: 'shelving-ended' }),
    ];
    const figures = alarmStatistics(changes, hour);
    expect([figures.raised, figures.meanPerSpan, figures.mostPerSpan]).toEqual([2, 2 / 6, 1]);
    expect(figures.top).toEqual([
      { alarm: 'watch/a', raised: 1, share: 0.5 },
      { alarm: 'watch/b', raised: 1, share: 0.5 },
    ]);
  });

  test('more than ten alarms in ten minutes are a flood', () => {
    const alarms = (count: number) =>
      Array.from({ length: count }, (_, index) => raised(`watch/${index}`, index * 1000));
    expect(alarmStatistics(alarms(10), hour).floodShare).toBe(0);
    expect(alarmStatistics(alarms(11), hour).floodShare).toBeCloseTo(1 / 6);
  });

  test('an alarm chatters if it is raised three times within a minute', () => {
    const calm = [0, 30_000, 60_000, 90_000].map((atMs) => raised('watch/calm', atMs));
    const loud = [0, 20_000, 59_999].map((atMs) => raised('watch/loud', atMs));
    expect(alarmStatistics([...calm, ...loud], hour).chattering).toEqual([{ alarm: 'watch/loud', mostPerMinute: 3 }]);
  });

  test('each day of the range is listed, also one without alarms', () => {
    const range = { fromMs: startMs, toMs: startMs + 48 * HOUR_MS };
    const counts = alarmStatistics([raised('watch/a', 25 * HOUR_MS)], range).perDay.map((day) => day.raised);
    expect(counts).toEqual([0, 1, 0]);
  });
});

describe('the journal as CSV', () => {
  test('quotes fields, and no spreadsheet runs a text as a formula', () => {
    expect(csvField('a "b", c')).toBe('"a ""b"", c"');
    expect(csvField('=HYPERLINK(1)')).toBe("'=HYPERLINK(1)");
    expect(csvField(-4)).toBe('-4');
    expect(csvField(null)).toBe('');
  });

  test('has one row a change, with UTC times', () => {
    const [head, row, end] = journalCsv([raised('watch/a', 0, { by: 'anna' })]).split('\r\n');
    expect(head).toBe('timestamp,alarm,priority,state,previous,change,cause,message,by,comment');
    expect(row).toBe(
      '2026-01-05T12:00:00.000Z,watch/a,high,unacknowledged,normal,score-above-threshold,score-above-threshold,,anna,',
    );
    expect(end).toBe('');
  });
});
