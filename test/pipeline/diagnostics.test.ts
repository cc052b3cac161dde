import { beforeEach, describe, expect, test } from 'vitest';
import type { Tag } from '../../src/domain/sample/tag.ts';
import { AlarmFloodMonitor } from '../../src/pipeline/alarm-flood.ts';
import { DiagnosticMonitor, storedDiagnosticAlarm } from '../../src/pipeline/diagnostic-monitor.ts';
import { AlarmService } from '../../src/pipeline/alarm-service.ts';
import { Recorder } from '../../src/pipeline/recorder.ts';
import { LiveEvents } from '../../src/contracts/live-events.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';
import { FakeRecordStore } from './fakes/fake-record-store.ts';

/** Components of an agent, and the alarms that their health raises after 30 s. */
class Box {
  readonly definitionOf;
  readonly clock = new FakeClock();
  readonly deps = testDeps(this.clock);
  readonly store = new FakeRecordStore();
  readonly events = new LiveEvents();
  readonly flood = new AlarmFloodMonitor(this.events, this.deps);
  readonly recorder = new Recorder({ records: this.store, deps: this.deps });
  readonly alarms = new AlarmService({
    definitions: [],
    definitionOf: (stored) => this.definitionOf(stored),
    records: this.store,
    recorder: this.recorder,
    events: this.events,
    deps: this.deps,
  });
  blind: { readonly tag: Tag; readonly sinceMs: number }[] = [];
  readonly #components = new Map<string, ReturnType<typeof this.deps.health.component>>();
  readonly #monitor = new DiagnosticMonitor({
    config: { afterMs: 30_000, priority: 'low' },
    neededBy: new Map([
      ['watch/pump', ['source/plc', 'model/pump']],
      ['tag/current', ['source/plc']],
      ['tag/power', ['source/plc', 'tag/current']],
    ]),
    sharedBy: new Map([
      ['source/cell', ['broker:1883']],
      ['uplink/cloud', ['broker:1883']],
      ['publish', ['broker:1883']],
      ['tag/heat', ['voltage']],
      ['tag/load', ['voltage']],
    ]),
    limits: { blind: () => this.blind },
    alarms: this.alarms,
    recorder: this.recorder,
    deps: this.deps,
  });

  constructor(definitionOf = storedDiagnosticAlarm) {
    this.definitionOf = definitionOf;
  }

  async start(): Promise<void> {
    await this.alarms.start();
    this.recorder.start();
    this.#monitor.start();
  }

  report(name: string, status: 'ok' | 'degraded', reason = ''): void {
    const component = this.#components.get(name) ?? this.deps.health.component(name);
    this.#components.set(name, component);
    component.report(status, reason);
  }

  get changes() {
    return this.store.bodies('alarm').map(({ alarm, state }) => `${String(alarm)} ${String(state)}`);
  }
}

describe('a component in trouble', () => {
  let box: Box;
  beforeEach(async () => {
    box = new Box();
    await box.start();
  });

  test('raises one alarm after the configured time, with the reason, and clears it when it works again', async () => {
    box.report('source/plc', 'degraded', 'tcp://10.0.0.7:502 refused the connection');
    await box.clock.advance(29_000);
    expect(box.changes).toEqual([]);
    await box.clock.advance(2000);
    expect(box.store.bodies('alarm')).toMatchObject([
      {
        alarm: 'diagnostic/source/plc',
        watch: null,
        state: 'unacknowledged',
        priority: 'low',
        cause: 'component-in-trouble',
        message: 'source plc does not work: tcp://10.0.0.7:502 refused the connection',
      },
    ]);
    await box.clock.advance(60_000);
    box.report('source/plc', 'ok');
    await box.clock.advance(15_000);
    expect(box.changes).toEqual([
      'diagnostic/source/plc unacknowledged',
      'diagnostic/source/plc returned-unacknowledged',
    ]);
  });

  test('explains what depends on it: a dead PLC is one alarm, not one for each watch and tag', async () => {
    box.report('source/plc', 'degraded', 'no answer');
    box.report('watch/pump', 'degraded', 'tag current is bad');
    box.blind = ['current', 'power'].map((name, number) => ({
      tag: tagOf(name, number),
      sinceMs: box.clock.nowMs(),
    }));
    await box.clock.advance(60_000);
    expect(box.changes).toEqual(['diagnostic/source/plc unacknowledged']);
    box.report('source/plc', 'ok');
    await box.clock.advance(60_000);
    expect(box.changes).toContain('diagnostic/watch/pump unacknowledged');
    expect(box.changes).toContain('diagnostic/tag/current unacknowledged');
  });

  test('gives what depends on it the full time after it works again', async () => {
    box.report('source/plc', 'degraded', 'no answer');
    box.report('watch/pump', 'degraded', 'tag current is bad');
    await box.clock.advance(60_000);
    box.report('source/plc', 'ok');
    // Until its window is filled.
    await box.clock.advance(25_000);
    box.report('watch/pump', 'ok');
    await box.clock.advance(60_000);
    expect(box.changes.filter((change) => change.includes('watch/pump'))).toEqual([]);
  });

  test('is one alarm with all that has the same address: a dead broker is not one for each part that uses it', async () => {
    box.report('uplink/cloud', 'degraded', 'mqtt://broker refused the connection');
    await box.clock.advance(20_000);
    box.report('source/cell', 'degraded', 'no connection');
    await box.clock.advance(12_000);
    box.report('publish', 'degraded', 'no connection');
    await box.clock.advance(60_000);
    // The first in the configuration, after the time of the first that failed.
    expect(box.changes).toEqual(['diagnostic/source/cell unacknowledged']);
    expect(box.alarms.list()[0]).toMatchObject({
      message: 'source cell does not work: no connection. Also affected: uplink cloud',
      present: 'source cell does not work: no connection. Also affected: agent publish, uplink cloud',
    });
    for (const name of ['uplink/cloud', 'publish', 'source/cell']) box.report(name, 'ok');
    await box.clock.advance(15_000);
    expect(box.changes).toEqual([
      'diagnostic/source/cell unacknowledged',
      'diagnostic/source/cell returned-unacknowledged',
    ]);
  });

  test('is an alarm of its own if it does not work after the others do', async () => {
    for (const name of ['source/cell', 'uplink/cloud']) box.report(name, 'degraded', 'no connection');
    await box.clock.advance(60_000);
    box.report('source/cell', 'ok');
    await box.clock.advance(29_000);
    expect(box.changes.filter((change) => change.includes('uplink'))).toEqual([]);
    await box.clock.advance(3000);
    expect(box.changes).toContain('diagnostic/uplink/cloud unacknowledged');
  });

  test('a bad tag and the tags that are derived from it are one alarm', async () => {
    const blind = (name: string, number: number) => ({ tag: tagOf(name, number), sinceMs: box.clock.nowMs() });
    box.blind = [blind('power', 1), blind('current', 0), blind('heat', 2), blind('load', 3)];
    await box.clock.advance(60_000);
    // `heat` and `load` come from a tag without limits.
    expect(box.changes).toEqual(['diagnostic/tag/current unacknowledged', 'diagnostic/tag/heat unacknowledged']);
    expect(box.alarms.list().at(-1)?.message).toContain('Also affected: tag load');
  });

  test('keeps the message of its onset, and shows the present reason next to it', async () => {
    box.report('source/plc', 'degraded', 'no answer');
    await box.clock.advance(40_000);
    const announced: (string | undefined)[] = [];
    box.events.subscribe((event) => {
      if (event.type === 'alarm') announced.push(event.transition.present);
    });
    expect(box.alarms.list()[0]?.present).toBeUndefined();
    const present = 'source plc does not work: the connection is refused';
    box.report('source/plc', 'degraded', 'the connection is refused');
    await box.clock.advance(1000);
    const onset = { message: 'source plc does not work: no answer', present };
    expect(box.alarms.list()[0]).toMatchObject(onset);
    await box.alarms.acknowledge('diagnostic/source/plc', 'mia');
    expect(box.alarms.list()[0]).toMatchObject({ state: 'acknowledged', present });
    for (let second = 0; second < 20; second += 1) {
      box.report('source/plc', 'degraded', `refused ${second} times`);
      await box.clock.advance(1000);
    }
    // The first reason, the acknowledgement, and one in 10 s.
    expect(announced.length).toBeLessThanOrEqual(4);
    const bodies = box.store.bodies('alarm');
    expect(bodies.map(({ message }) => message)).toEqual([onset.message, onset.message]);
    expect(JSON.stringify(bodies)).not.toContain('present');
    box.report('source/plc', 'ok');
    await box.clock.advance(15_000);
    expect(box.alarms.list()[0]).toMatchObject({ state: 'normal', message: 'source plc works again.' });
    expect(box.alarms.list()[0]?.present).toBeUndefined();
  });

  test('does not explain what fails long after it', async () => {
    box.report('source/plc', 'degraded', 'register 7 is refused');
    await box.clock.advance(3_600_000);
    box.report('watch/pump', 'degraded', 'tag current is bad');
    await box.clock.advance(40_000);
    expect(box.changes).toEqual(['diagnostic/source/plc unacknowledged', 'diagnostic/watch/pump unacknowledged']);
  });

  test('the stores are one alarm while the disk is at fault', async () => {
    for (const name of ['outbox', 'history', 'alarms']) box.report(name, 'degraded', 'disk full');
    await box.clock.advance(40_000);
    expect(box.changes).toEqual(['diagnostic/storage/outbox unacknowledged']);
  });

  test('that flaps within the off-delay is one alarm', async () => {
    box.report('uplink/cloud', 'degraded', 'down');
    await box.clock.advance(31_000);
    for (let turn = 0; turn < 5; turn += 1) {
      box.report('uplink/cloud', 'ok');
      await box.clock.advance(5000);
      box.report('uplink/cloud', 'degraded', 'down');
      await box.clock.advance(31_000);
    }
    expect(box.changes).toEqual(['diagnostic/uplink/cloud unacknowledged']);
  });
});

test('an alarm from before a restart clears if its component works now', async () => {
  const before = new Box();
  await before.start();
  before.report('source/plc', 'degraded', 'no answer');
  await before.clock.advance(40_000);
  const after = new Box();
  after.store.restored = before.alarms.list();
  await after.start();
  await after.clock.advance(15_000);
  expect(after.changes).toEqual(['diagnostic/source/plc returned-unacknowledged']);
});

test('numbers of an alarm continue after the clock was set back and a restart', async () => {
  const before = new Box();
  await before.clock.advance(86_400_000);
  await before.start();
  before.report('source/plc', 'degraded', 'no answer');
  await before.clock.advance(40_000);
  await before.alarms.acknowledge('diagnostic/source/plc', 'anna');
  before.report('source/plc', 'ok');
  await before.clock.advance(40_000);
  const [last] = before.alarms.list();
  expect(last).toMatchObject({ alarm: 'diagnostic/source/plc', state: 'normal' });
  // The clock of this box is a day behind.
  const after = new Box();
  after.store.restored = before.alarms.list();
  await after.start();
  after.report('source/plc', 'degraded', 'no answer');
  await after.clock.advance(40_000);
  const numbers = after.store.bodies('alarm').map(({ number }) => Number(number));
  expect(numbers).toEqual([(last?.number ?? 0) + 1]);
});

test('an alarm that the configuration no longer has is ended once', async () => {
  const before = new Box();
  await before.start();
  before.report('source/plc', 'degraded', 'no answer');
  await before.clock.advance(40_000);
  const after = new Box(() => undefined);
  after.store.restored = before.alarms.list();
  await after.start();
  await after.clock.advance(15_000);
  expect(after.store.bodies('alarm')).toMatchObject([
    { alarm: 'diagnostic/source/plc', state: 'normal', cause: 'returned-to-service', by: 'configuration' },
  ]);
  expect(after.alarms.list()).toEqual([]);
});

test('more than ten alarms in ten minutes are a flood, grouped by cause, until they are older', async () => {
  const box = new Box();
  await box.start();
  for (let number = 0; number < 11; number += 1) box.report(`source/plc-${number}`, 'degraded', 'down');
  await box.clock.advance(31_000);
  expect(box.flood.flood()).toEqual({ isFlood: true, raised: 11, byCause: new Map([['component-in-trouble', 11]]) });
  expect(await metricValue(box.deps, 'andon_alarm_flood')).toBe(1);
  await box.clock.advance(601_000);
  expect(await metricValue(box.deps, 'andon_alarm_flood')).toBe(0);
  expect(box.flood.flood()).toMatchObject({ isFlood: false, raised: 0 });
});

function tagOf(name: string, number: number): Tag {
  return { name, number, source: 'plc', unit: '', range: undefined, deadband: 0 };
}
