import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AlarmState } from '../../src/domain/alarm/alarm.ts';
import {
  type AlarmChange,
  changed,
  type ChannelRules,
  type ChannelState,
  delivered,
  type DueMessage,
  newChannel,
  nextMessage,
} from '../../src/domain/notify/channel-state.ts';
import { messageOf } from '../../src/domain/notify/notify-message.ts';
import { isOpen } from '../../src/domain/notify/shift-schedule.ts';

const rules: ChannelRules = {
  selection: { watches: [], alarms: [], priority: [] },
  returns: false,
  escalateAfterMs: 0,
  groupWaitMs: 5_000,
  groupMax: 3,
  cooldownMs: 600_000,
  maxAgeMs: 3_600_000,
};

/** A channel with its own clock, and a service that accepts everything. */
class Channel {
  state: ChannelState = newChannel(0);
  nowMs = 0;
  readonly sent: { readonly atMs: number; readonly message: DueMessage }[] = [];
  readonly #rules: ChannelRules;
  #number = 0;

  constructor(more: Partial<ChannelRules> = {}) {
    this.#rules = { ...rules, ...more };
  }

  to(state: AlarmState, alarm = 'watch/pump', more: Partial<AlarmChange> = {}): AlarmChange {
    this.#number += 1;
    const change: AlarmChange = {
      alarm,
      watch: 'pump',
      priority: 'high',
      state,
      message: `${alarm} is ${state}`,
      timestampMs: this.nowMs,
      number: this.#number,
      ...more,
    };
    this.state = changed(this.state, this.#rules, change);
    return change;
  }

  /** Lets time pass, with a service that may be down, or outside of shifts. */
  pass(ms: number, { isDown = false, isClosed = false, openSinceMs = -Infinity } = {}): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const next = nextMessage(this.state, this.#rules, isClosed ? undefined : openSinceMs, this.nowMs);
      if ('dueMs' in next || isDown) {
        const dueMs = 'dueMs' in next ? next.dueMs : Infinity;
        if (dueMs > untilMs) break;
        this.nowMs = Math.max(this.nowMs, dueMs);
        continue;
      }
      this.sent.push({ atMs: this.nowMs, message: next });
      this.state = delivered(this.state, next, this.nowMs);
    }
    this.nowMs = untilMs;
  }

  get texts(): readonly string[] {
    return this.sent.map(
      ({ atMs, message: { kind, notices, others } }) =>
        `${atMs / 1000} ${kind} ${notices.map(({ alarm, times }) => `${alarm}×${times}`).join(' ')}${others.length > 0 ? ` +${others.length}` : ''}`,
    );
  }
}

const MINUTE = 60_000;

describe('a channel', () => {
  test('sends each alarm once, after the time for a group', () => {
    const channel = new Channel();
    channel.to('unacknowledged');
    channel.pass(60 * MINUTE);
    expect(channel.texts).toEqual(['5 raised watch/pump×1']);
  });

  test('groups a flood: the most important alarms are listed, the others counted', () => {
    const channel = new Channel();
    for (let n = 0; n < 40; n += 1)
      channel.to('unacknowledged', `limit/t${n}/high`, { priority: n === 39 ? 'critical' : 'low' });
    channel.pass(MINUTE);
    expect(channel.texts).toEqual(['5 raised limit/t39/high×1 limit/t0/high×1 limit/t1/high×1 +37']);
    const [first] = channel.sent;
    const message = first && messageOf(first.message, { agent: 'edge', link: undefined });
    expect(message?.title).toBe('CRITICAL: 40 alarms on edge');
    expect(message?.text).toContain('… and 37 more');
  });

  test('sends an alarm that chatters once in a cooldown, counted from the delivery', () => {
    const channel = new Channel();
    channel.to('unacknowledged');
    channel.pass(MINUTE);
    for (let n = 0; n < 20; n += 1) {
      channel.to('returned-unacknowledged');
      channel.to('unacknowledged');
      channel.pass(MINUTE);
    }
    expect(channel.texts).toEqual(['5 raised watch/pump×1', '605 raised watch/pump×10', '1205 raised watch/pump×10']);
  });

  test('does not start the cooldown with a message that was not delivered', () => {
    const channel = new Channel();
    channel.to('unacknowledged');
    channel.pass(9 * MINUTE, { isDown: true });
    channel.pass(MINUTE);
    expect(channel.texts).toEqual(['540 raised watch/pump×1']);
    channel.to('returned-unacknowledged');
    channel.to('unacknowledged');
    channel.pass(30 * MINUTE);
    expect(channel.texts[1]).toBe('1140 raised watch/pump×1');
  });

  test('makes one summary of what could not be sent for longer than maxAge', () => {
    const channel = new Channel();
    channel.to('unacknowledged', 'watch/a');
    channel.pass(10 * MINUTE, { isDown: true });
    channel.to('unacknowledged', 'watch/b');
    channel.to('returned-unacknowledged', 'watch/a');
    channel.pass(100 * MINUTE, { isDown: true });
    channel.to('unacknowledged', 'watch/c');
    channel.pass(MINUTE);
    expect(channel.texts).toEqual(['6600 summary watch/a×1 watch/b×1', '6605 raised watch/c×1']);
    expect(channel.sent[0]?.message.notices[0]?.isOver).toBe(true);
  });

  test.each(['acknowledged', 'shelved', 'suppressed-by-design', 'out-of-service', 'normal'] as const)(
    'is quiet about an alarm that becomes %s before its message',
    (state) => {
      const channel = new Channel();
      channel.to('unacknowledged');
      channel.pass(2_000);
      channel.to(state);
      channel.pass(60 * MINUTE);
      expect(channel.texts).toEqual([]);
    },
  );

  test('escalates only what is still not acknowledged, over or not', () => {
    const channel = new Channel({ escalateAfterMs: 15 * MINUTE });
    channel.to('unacknowledged', 'watch/a');
    channel.to('unacknowledged', 'watch/b');
    channel.to('unacknowledged', 'watch/c');
    channel.pass(10 * MINUTE);
    channel.to('acknowledged', 'watch/a');
    channel.to('returned-unacknowledged', 'watch/b');
    channel.pass(60 * MINUTE);
    expect(channel.texts).toEqual(['900 raised watch/b×1 watch/c×1']);
  });

  test('holds an alarm until the shift begins, without a summary, and drops it if it is acknowledged before', () => {
    const channel = new Channel();
    channel.to('unacknowledged', 'watch/a');
    channel.to('unacknowledged', 'watch/b');
    channel.pass(600 * MINUTE, { isClosed: true });
    channel.to('acknowledged', 'watch/b');
    channel.pass(MINUTE, { openSinceMs: channel.nowMs });
    expect(channel.texts).toEqual(['36000 raised watch/a×1']);
  });

  test('announces the return of what it announced, once, if it is to', () => {
    const channel = new Channel({ returns: true });
    channel.to('unacknowledged', 'watch/a');
    channel.pass(MINUTE);
    channel.to('returned-unacknowledged', 'watch/a');
    channel.pass(MINUTE);
    channel.to('normal', 'watch/a');
    channel.to('returned-unacknowledged', 'watch/never-announced');
    channel.pass(MINUTE);
    expect(channel.texts).toEqual(['5 raised watch/a×1', '65 returned watch/a×1']);
  });

  test('ignores changes of before its first start, and alarms that it does not choose', () => {
    const channel = new Channel({ selection: { watches: ['pump'], alarms: [], priority: ['critical'] } });
    channel.to('unacknowledged', 'watch/pump', { timestampMs: -1, priority: 'critical' });
    channel.to('unacknowledged', 'watch/low');
    channel.to('unacknowledged', 'watch/fan', { watch: 'fan', priority: 'critical' });
    channel.pass(MINUTE);
    expect(channel.texts).toEqual([]);
  });

  test('sends the same messages if every record is read again after each restart', () => {
    const steps = fc.array(
      fc.record({
        alarm: fc.constantFrom('watch/a', 'watch/b', 'watch/c'),
        state: fc.constantFrom<AlarmState>(
          'unacknowledged',
          'acknowledged',
          'returned-unacknowledged',
          'normal',
          'shelved',
        ),
        passMs: fc.nat(20 * MINUTE),
        isDown: fc.boolean(),
      }),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(steps, fc.boolean(), (all, returns) => {
        const run = (isRepeated: boolean) => {
          const channel = new Channel({ returns });
          const past: AlarmChange[] = [];
          for (const { alarm, state, passMs, isDown } of all) {
            past.push(channel.to(state, alarm));
            if (isRepeated) {
              channel.state = JSON.parse(JSON.stringify(channel.state)) as ChannelState;
              for (const change of past) channel.state = changed(channel.state, { ...rules, returns }, change);
            }
            channel.pass(passMs, { isDown });
          }
          channel.pass(24 * 60 * MINUTE);
          return channel.texts;
        };
        expect(run(true)).toEqual(run(false));
      }),
    );
  });

  test('sends every alarm that stays unacknowledged, also if the service is down in between', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(20 * MINUTE), fc.boolean()), { maxLength: 20 }), (waits) => {
        const channel = new Channel();
        for (const [index, [ms, isDown]] of waits.entries()) {
          channel.to('unacknowledged', `watch/${index}`);
          channel.pass(ms, { isDown });
        }
        channel.pass(24 * 60 * MINUTE);
        const named = channel.sent.flatMap(({ message }) => [...message.notices, ...message.others]);
        expect(named.map(({ alarm }) => alarm).toSorted()).toEqual(
          waits.map((_, index) => `watch/${index}`).toSorted(),
        );
      }),
    );
  });
});

describe('a schedule', () => {
  const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri'] as const;
  const early = { days: weekdays, fromMinute: 6 * 60, toMinute: 14 * 60 };
  const night = { days: ['fri'], fromMinute: 22 * 60, toMinute: 6 * 60 } as const;

  test.each([
    ['2026-11-30T05:30:00Z', true, 'Monday, 06:30 in Paris'],
    ['2026-11-30T04:59:00Z', false, 'Monday, 05:59 in Paris'],
    ['2026-11-30T13:00:00Z', false, 'Monday, 14:00 in Paris'],
    ['2026-11-28T09:00:00Z', false, 'Saturday'],
    ['2026-07-27T04:30:00Z', true, 'Monday, 06:30 in summer'],
    ['2026-11-27T21:30:00Z', true, 'Friday night'],
    ['2026-11-28T04:30:00Z', true, 'the end of the night of Friday, on Saturday'],
    ['2026-11-27T04:30:00Z', false, 'the morning before the night of Friday'],
  ])('at %s is %s: %s', (time, expected) => {
    expect(isOpen({ timeZone: 'Europe/Paris', shifts: [early, night] }, Date.parse(time))).toBe(expected);
  });

  test('without shifts is always open', () => {
    expect(isOpen({ timeZone: 'UTC', shifts: [] }, 0)).toBe(true);
  });
});
