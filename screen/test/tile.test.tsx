// @vitest-environment happy-dom
import { render } from 'preact';
import { act } from 'preact/test-utils';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { alarms, apply, connection, load, watches } from '../src/agent/agent-state.ts';
import type { Alarm, Watch } from '../src/agent/api-types.ts';
import { Tile } from '../src/line/tile.tsx';

const HOP_MS = 60_000;
const verdict = { watch: 'press-1', verdict: 'normal', score: 0.4, threshold: 1, contributions: [] };
const watch = {
  watch: 'press-1',
  state: 'normal',
  model: 'press-1',
  hop_ms: HOP_MS,
  reason: '',
  since_ms: Date.now(),
  judged_ms: Date.now(),
  last_verdict: verdict,
  learning: null,
  abnormal: 'above',
  tags: [],
} as unknown as Watch;
const alarm = { alarm: 'watch/press-1', state: 'unacknowledged', priority: 'high' } as Alarm;
const flood = { is_flood: false, raised: 0, by_cause: {} };

/** Shows the tile of one watch. */
function show(changes: Partial<Watch> = {}, listed: readonly Alarm[] = []): void {
  void act(() => {
    load({ watches: [{ ...watch, ...changes }], alarms: listed, flood });
    const [first] = watches.value.values();
    if (first !== undefined) render(<Tile watch={first} />, document.body);
  });
}

const lamp = () => document.querySelector('.lamp')?.getAttribute('data-look');
const text = (selector: string) => document.querySelector(selector)?.textContent;

beforeEach(() => {
  connection.value = { state: 'live' };
});
afterEach(() => render(null, document.body));

describe('the tile of a watch', () => {
  test('has a normal lamp, and the score with its threshold', () => {
    show();
    expect(lamp()).toBe('normal');
    expect(text('.state')).toBe('normal · 0.4 / 1');
  });

  test('has no state as soon as the connection is lost, and shows the time of the last verdict', () => {
    show();
    void act(() => {
      connection.value = { state: 'lost', reason: 'no answer' };
    });
    expect(lamp()).toBe('away');
    expect(text('.state')).toMatch(/\d\d:\d\d:\d\d/);
    expect(document.querySelector('.state')?.textContent).not.toContain('0.4');
  });

  test.each(['unknown', 'blind', 'learning'] as const)('that is %s is not green, and has no score', (state) => {
    show({ state, reason: 'press-1.load: no answer' });
    expect(lamp()).toBe(state);
    expect(text('.state')).not.toContain('0.4');
  });

  test('has the priority of its alarm, filled until it is acknowledged', () => {
    show({}, [alarm]);
    expect(document.querySelector('.tile')?.getAttribute('data-alarm')).toBe('unacknowledged');
    const before = document.querySelector('.priority')?.outerHTML;
    void act(() => {
      alarms.value = new Map([[alarm.alarm, { ...alarm, state: 'acknowledged' }]]);
    });
    expect(document.querySelector('.priority')?.outerHTML).not.toBe(before);
  });

  test('follows a verdict that arrives', () => {
    show();
    void act(() => {
      const data = {
        ...verdict,
        score: 7,
        verdict: 'abnormal',
        timestamp_ms: Date.now(),
        contributions: [{ tag: 'load', share: 0.8 }],
      };
      apply([{ type: 'verdict', data }] as unknown as Parameters<typeof apply>[0]);
    });
    expect(lamp()).toBe('abnormal');
    expect(text('.state')).toContain('7 / 1');
    expect(text('.blame')).toContain('load 80');
  });
});
