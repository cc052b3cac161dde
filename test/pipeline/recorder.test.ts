import { describe, expect, test } from 'vitest';
import { normalFacts } from '../../src/domain/alarm/alarm.ts';
import { type Entry, Recorder } from '../../src/pipeline/recorder.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testDeps } from '../support/test-deps.ts';
import { FakeRecordStore } from './fakes/fake-record-store.ts';

function startRecorder() {
  const clock = new FakeClock();
  const deps = testDeps(clock);
  const store = new FakeRecordStore();
  const recorder = new Recorder({ records: store, deps });
  recorder.start();
  const status = () => deps.health.components().find(({ name }) => name === 'pipeline')?.status;
  const stored = () => store.drafts.map(({ watch, alarm }) => [watch, alarm?.number]);
  return { clock, store, recorder, status, stored };
}

function verdictEntry(watch: string): Entry {
  return { draft: { kind: 'verdict', timestampMs: 0, watch, body: {}, alarm: undefined }, stored: () => undefined };
}

function alarmEntry(watch: string, number: number): Entry {
  const alarm = {
    alarm: `watch/${watch}`,
    watch,
    number,
    state: 'unacknowledged',
    previous: 'normal',
    priority: 'low',
    cause: 'score-above-threshold',
    message: '',
    parameters: {},
    by: undefined,
    timestampMs: 0,
    score: 2,
    facts: { ...normalFacts, active: true, acknowledged: false },
  } as const;
  return { draft: { kind: 'alarm', timestampMs: 0, watch, body: {}, alarm }, stored: () => undefined };
}

describe('alarm records that the outbox refused', () => {
  test('are stored in the order of each alarm, whichever call came back first', async () => {
    const { clock, recorder, stored } = startRecorder();
    recorder.keep([alarmEntry('a', 2), alarmEntry('b', 7)]);
    recorder.keep([alarmEntry('a', 3), alarmEntry('a', 1)]);
    await clock.advance(2000);
    expect(stored().filter(([watch]) => watch === 'a')).toEqual([
      ['a', 1],
      ['a', 2],
      ['a', 3],
    ]);
    expect(stored()).toHaveLength(4);
  });

  test('go ahead of newer ones', async () => {
    const { clock, recorder, stored } = startRecorder();
    recorder.keep([alarmEntry('a', 1)]);
    recorder.store([alarmEntry('b', 1)]);
    await clock.advance(0);
    expect(stored()).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
  });

  test('take no verdict along while only alarms cannot be stored', async () => {
    const { clock, store, recorder, stored } = startRecorder();
    store.alarmsDown = true;
    recorder.keep([alarmEntry('a', 1)]);
    recorder.store([verdictEntry('b'), alarmEntry('b', 1)]);
    await clock.advance(0);
    expect(stored()).toEqual([['b', undefined]]);
    store.alarmsDown = false;
    await clock.advance(5000);
    expect(stored()).toEqual([
      ['b', undefined],
      ['a', 1],
      ['b', 1],
    ]);
  });

  test('keep the pipeline degraded while they wait, even if an earlier call still succeeds', async () => {
    const { clock, store, recorder, status } = startRecorder();
    store.held = true;
    recorder.store([alarmEntry('a', 1)]);
    store.held = false;
    store.down = true;
    recorder.store([alarmEntry('a', 2)]);
    await clock.advance(0);
    store.down = false;
    store.release();
    await clock.advance(0);
    expect(status()).toBe('degraded');
    await clock.advance(2000);
    expect(status()).toBe('ok');
  });
});
