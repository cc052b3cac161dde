import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alarmPriorities, type AlarmTransition, alarmStates, normalFacts } from '../../src/domain/alarm/alarm.ts';
import { isSelected } from '../../src/domain/alarm/alarm-selection.ts';
import { demandOf, type OutputCondition, type OutputFacts } from '../../src/domain/output/output-demand.ts';
import {
  accepted,
  demanded,
  failed,
  newOutput,
  nextWriteMs,
  type OutputRules,
  type OutputValue,
  valueAt,
} from '../../src/domain/output/output-schedule.ts';

const rules: OutputRules = {
  values: { on: 1, off: 0 },
  safe: 7,
  blinkMs: undefined,
  heartbeatMs: undefined,
  refreshMs: 10_000,
  rateLimitMs: 200,
};

type Show = 'on' | 'off' | 'safe';
type Write = { readonly atMs: number; readonly value: OutputValue; readonly show: Show };

/** Runs the schedule as the driver does. @param faults True for an attempt that fails, in their order. */
function simulate(
  own: OutputRules,
  demands: readonly { readonly atMs: number; readonly show: Show }[],
  untilMs: number,
  faults: readonly boolean[] = [],
): readonly Write[] {
  const writes: Write[] = [];
  let memory = newOutput(0);
  let nowMs = 0;
  let attempts = 0;
  const pending = [...demands];
  for (;;) {
    while (pending[0] !== undefined && pending[0].atMs <= nowMs)
      memory = demanded(memory, pending.shift()?.show ?? 'safe', nowMs);
    const dueMs = nextWriteMs(own, memory, nowMs);
    if (dueMs <= nowMs) {
      const value = valueAt(own, memory, nowMs);
      if (faults[attempts] === true) memory = failed(memory, nowMs + 50);
      else {
        memory = accepted(memory, value, nowMs);
        writes.push({ atMs: nowMs, value, show: memory.show });
      }
      attempts += 1;
      continue;
    }
    nowMs = Math.min(dueMs, pending[0]?.atMs ?? Infinity);
    if (nowMs > untilMs) return writes;
  }
}

const demands = fc
  .array(fc.record({ atMs: fc.nat(20_000), show: fc.constantFrom<Show>('on', 'off', 'safe') }), { maxLength: 30 })
  .map((all) => all.toSorted((a, b) => a.atMs - b.atMs));

describe('what an output writes', () => {
  test('is the demanded value, at the latest one rate limit and the retries after the demand', () => {
    fc.assert(
      fc.property(demands, fc.array(fc.boolean(), { maxLength: 10 }), (all, faults) => {
        const writes = simulate(rules, all, 60_000, faults);
        const last = all.at(-1)?.show ?? 'safe';
        expect(writes.at(-1)?.value).toBe(last === 'safe' ? 7 : rules.values[last]);
        const lateMs = rules.rateLimitMs + 50 * faults.length;
        for (const [index, { atMs, show }] of all.entries()) {
          const next = all[index + 1]?.atMs ?? Infinity;
          if (next - atMs <= lateMs) continue;
          const value = show === 'safe' ? 7 : rules.values[show];
          const before = writes.filter((write) => write.atMs <= atMs + lateMs);
          expect(before.at(-1)?.value).toBe(value);
        }
      }),
    );
  });

  test('changes at most once in a rate limit, but is safe without a wait', () => {
    fc.assert(
      fc.property(demands, (all) => {
        const changes = simulate(rules, all, 60_000).filter(
          ({ value }, index, writes) => value !== writes[index - 1]?.value,
        );
        const early = changes.filter(({ atMs, value }, index) => {
          if (value === rules.safe) return atMs > 0 && !all.some((demand) => demand.atMs === atMs);
          return atMs - (changes[index - 1]?.atMs ?? -Infinity) < rules.rateLimitMs;
        });
        expect(early).toEqual([]);
      }),
    );
  });

  test('is repeated after the refresh time, and never with never', () => {
    expect(simulate(rules, [], 25_000).map(({ atMs }) => atMs)).toEqual([0, 10_000, 20_000]);
    expect(simulate({ ...rules, refreshMs: Infinity }, [], 1e6)).toHaveLength(1);
  });

  test('blinks in halves of the same length while it is on, and is steady otherwise', () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 3000 }), demands, (blinkMs, all) => {
        const writes = simulate({ ...rules, blinkMs }, all, 30_000);
        const possible = { on: [0, 1], off: [0], safe: [7] };
        expect(writes.filter(({ show, value }) => !possible[show].includes(Number(value)))).toEqual([]);
      }),
    );
    const blinking = simulate({ ...rules, blinkMs: 500 }, [{ atMs: 1000, show: 'on' }], 3000);
    expect(blinking.slice(1).map(({ atMs, value }) => [atMs, value])).toEqual([
      [1000, 1],
      [1500, 0],
      [2000, 1],
      [2500, 0],
      [3000, 1],
    ]);
  });

  test('counts as a heartbeat from 1, and stops at the safe value', () => {
    const beating = { ...rules, heartbeatMs: 1000, safe: 0 };
    const all = [
      { atMs: 0, show: 'on' },
      { atMs: 3500, show: 'safe' },
    ] as const;
    expect(simulate(beating, all, 9000).map(({ value }) => value)).toEqual([1, 2, 3, 4, 0]);
    const late = demanded(newOutput(0), 'on', 0);
    expect(valueAt(beating, late, 32_766_000)).toBe(32_767);
    expect(valueAt(beating, late, 32_767_000)).toBe(1);
  });

  test('is written again after a failure, because the value of the device is not known', () => {
    const writes = simulate(rules, [{ atMs: 1000, show: 'on' }], 2000, [false, true, true]);
    expect(writes.map(({ atMs, value }) => [atMs, value])).toEqual([
      [0, 7],
      [1100, 1],
    ]);
  });
});

function transition(more: Partial<AlarmTransition>): AlarmTransition {
  return {
    alarm: 'watch/pump',
    watch: 'pump',
    number: 1,
    state: 'unacknowledged',
    previous: 'normal',
    priority: 'high',
    cause: 'score-above-threshold',
    message: '',
    parameters: {},
    by: undefined,
    timestampMs: 0,
    score: 1,
    facts: normalFacts,
    ...more,
  };
}

const facts: OutputFacts = {
  alarms: [],
  watches: new Map([
    ['pump', undefined],
    ['fan', undefined],
  ]),
  blindTags: new Set(),
  storageFault: undefined,
};
const onPump: OutputCondition = {
  type: 'alarms',
  selection: { watches: ['pump'], alarms: [], priority: ['high'] },
  states: ['unacknowledged'],
};

describe('what an output shows', () => {
  test('is on exactly while a chosen alarm is in a chosen state', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            watch: fc.constantFrom('pump', 'fan'),
            state: fc.constantFrom(...alarmStates),
            priority: fc.constantFrom(...alarmPriorities),
          }),
        ),
        (found) => {
          const alarms = found.map((more) => transition({ ...more, alarm: `watch/${more.watch}` }));
          const isOn = found.some(
            ({ watch, state, priority }) => watch === 'pump' && state === 'unacknowledged' && priority === 'high',
          );
          expect(demandOf(onPump, { ...facts, alarms }).show).toBe(isOn ? 'on' : 'off');
        },
      ),
    );
  });

  test.each([
    ['a watch that it follows has no verdict', { watches: new Map([['pump', 'tag stale']]) }],
    ['a watch that it follows does not exist', { watches: new Map<string, string | undefined>() }],
    ['the stored alarms are not read', { alarms: undefined }],
    ['records cannot be stored', { storageFault: 'disk full' }],
  ])('is safe when %s, also with an active alarm', (_, more) => {
    const alarms = 'alarms' in more ? undefined : [transition({})];
    expect(demandOf(onPump, { ...facts, ...more, alarms }).show).toBe('safe');
  });

  test('does not depend on another watch, but on every watch if it follows all alarms', () => {
    const watches = new Map([
      ['pump', undefined],
      ['fan', 'blind'],
    ]);
    expect(demandOf(onPump, { ...facts, watches }).show).toBe('off');
    const all = { ...onPump, selection: { watches: [], alarms: [], priority: ['high'] } } as const;
    expect(demandOf(all, { ...facts, watches }).show).toBe('safe');
    expect(demandOf(all, facts).show).toBe('off');
  });

  test('is safe when a tag with a chosen limit has no value', () => {
    const limits = { ...onPump, selection: { watches: [], alarms: ['limit/pressure/*'], priority: [] } };
    expect(demandOf(limits, { ...facts, blindTags: new Set(['pressure']) }).show).toBe('safe');
    expect(demandOf(limits, { ...facts, blindTags: new Set(['flow']) }).show).toBe('off');
    const alarms = [transition({ alarm: 'limit/pressure/high', watch: undefined })];
    expect(demandOf(limits, { ...facts, alarms }).show).toBe('on');
  });

  test('is dark for monitoring as soon as a watch is blind or records are not stored', () => {
    const monitoring: OutputCondition = { type: 'monitoring', watches: ['pump'] };
    expect(demandOf(monitoring, facts).show).toBe('on');
    expect(demandOf(monitoring, { ...facts, watches: new Map([['pump', 'no device']]) }).show).toBe('off');
    expect(demandOf(monitoring, { ...facts, storageFault: 'disk full' }).show).toBe('safe');
  });

  test('is no heartbeat while records are not stored', () => {
    expect(demandOf({ type: 'heartbeat' }, facts).show).toBe('on');
    expect(demandOf({ type: 'heartbeat' }, { ...facts, storageFault: 'disk full' }).show).toBe('safe');
  });
});

test('a choice of alarms has ids with a star', () => {
  const alarm = { alarm: 'diagnostic/source/plc', watch: undefined, priority: 'low' } as const;
  const named = (...alarms: string[]) => isSelected({ watches: [], alarms, priority: [] }, alarm);
  expect([named('diagnostic/*'), named('diagnostic/source/plc'), named('limit/*'), named('diagnostic/source')]).toEqual(
    [true, true, false, false],
  );
});
