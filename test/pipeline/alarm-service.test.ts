import { describe, expect, test } from 'vitest';
import { type AlarmTransition, normalFacts } from '../../src/domain/alarm/alarm.ts';
import { UNCERTAIN } from '../../src/domain/sample/quality.ts';
import { OperatingError } from '../../src/platform/errors.ts';
import { metricValue } from '../support/test-deps.ts';
import { FakeInferenceHost } from '../support/fake-inference-host.ts';
import { FakeRecordStore } from './fakes/fake-record-store.ts';
import { scan, startLine } from './fakes/start-line.ts';

/** Numbers of an alarm that nothing is stored of begin after this: the time at which a line starts. */
const START_NUMBER = Date.UTC(2026, 0, 1);

const active: AlarmTransition = {
  alarm: 'watch/pump-1',
  watch: 'pump-1',
  number: 7,
  state: 'unacknowledged',
  previous: 'normal',
  priority: 'low',
  cause: 'score-above-threshold',
  message: 'from before the start',
  parameters: {},
  by: undefined,
  timestampMs: Date.UTC(2025, 11, 31),
  score: 2,
  facts: { ...normalFacts, active: true, acknowledged: false },
};

/** A line whose alarm pump-1 is active. */
async function alarmedLine(alarm: object = {}, inference = new FakeInferenceHost()) {
  const line = await startLine({ watches: { 'pump-1': { alarm } }, inference });
  for (let second = 0; second < 2; second += 1) await line.second(4.2, 2);
  return line;
}

const states = (line: Awaited<ReturnType<typeof startLine>>) => line.store.bodies('alarm').map(({ state }) => state);
const announced = (line: Awaited<ReturnType<typeof startLine>>) =>
  line.received.flatMap((event) => (event.type === 'alarm' ? [event.transition.state] : []));

describe('what an alarm tells', () => {
  test('the record is the payload of subscribers: states, priority, cause, score and a sentence', async () => {
    const inference = new FakeInferenceHost({ output: { contributions: 'contributions' } });
    inference.contributions = () => [62, 38];
    const line = await alarmedLine({ priority: 'high' }, inference);
    expect(line.store.bodies('alarm')).toEqual([
      {
        alarm: 'watch/pump-1',
        watch: 'pump-1',
        state: 'unacknowledged',
        previous: 'normal',
        priority: 'high',
        cause: 'score-above-threshold',
        change: 'score-above-threshold',
        message: 'vibration is at 4.2 g (62 % of the score): the score of pump-1 is 2, above its threshold of 1.',
        by: null,
        score: 2,
        number: START_NUMBER + 1,
        parameters: { watch: 'pump-1', score: 2, threshold: 1, tag: 'vibration', value: 4.2, unit: 'g', share: 0.62 },
        onset_ms: START_NUMBER + 1000,
        acknowledged_by: null,
        acknowledged_ms: null,
        comment: null,
        shelved_until_ms: null,
      },
    ]);
  });

  test('without an explanation of the model, the message shows the current values of the tags', async () => {
    const line = await alarmedLine();
    expect(line.store.bodies('alarm')[0]?.['message']).toBe(
      'vibration is at 4.2 g, current is at 2 A: the score of pump-1 is 2, above its threshold of 1.',
    );
  });

  test('a threshold of the watch overrides the threshold of the model', async () => {
    const line = await alarmedLine({ threshold: 2.5 });
    expect(states(line)).toEqual([]);
    await line.second(1, 3);
    expect(states(line)).toEqual(['unacknowledged']);
  });

  test('if low is abnormal, a score below the threshold raises it', async () => {
    const line = await alarmedLine({ abnormal: 'below', threshold: 3 });
    expect(line.store.bodies('alarm')[0]).toMatchObject({ cause: 'score-below-threshold' });
  });

  test('alarms are counted by state and priority', async () => {
    const line = await alarmedLine({ priority: 'critical' });
    expect(await metricValue(line.deps, 'andon_alarms{state="unacknowledged",priority="critical"}')).toBe(1);
    expect(await metricValue(line.deps, 'andon_alarms{state="normal",priority="critical"}')).toBe(0);
  });
});

test('a service that ends, as at a reload, takes its alarms out of the count', async () => {
  const line = await alarmedLine({ priority: 'critical' });
  await line.stop();
  expect(await metricValue(line.deps, 'andon_alarms{state="unacknowledged",priority="critical"}')).toBe(0);
});

describe('what operators do', () => {
  test('acknowledging replaces neither the cause nor the message, and keeps who did it, when, and the comment', async () => {
    const line = await alarmedLine();
    const [raised] = line.store.bodies('alarm');
    await line.alarms.acknowledge('watch/pump-1', 'Lea', 'bearing ordered');
    expect(line.store.bodies('alarm').at(-1)).toMatchObject({
      state: 'acknowledged',
      change: 'acknowledged',
      cause: 'score-above-threshold',
      message: raised?.['message'],
      onset_ms: raised?.['onset_ms'],
      acknowledged_by: 'Lea',
      acknowledged_ms: line.clock.nowMs(),
      comment: 'bearing ordered',
    });
    await line.second(1, 0);
    await line.second(1, 0);
    expect(line.store.bodies('alarm').at(-1)).toMatchObject({ state: 'normal', onset_ms: null, acknowledged_by: null });
  });

  test('acknowledging resolves after its commit, with who did it', async () => {
    const line = await alarmedLine();
    line.store.held = true;
    const acknowledged = line.alarms.acknowledge('pump-1', 'Lea');
    await line.clock.advance(0);
    expect(line.alarms.list()[0]?.state).toBe('unacknowledged');
    line.store.release();
    expect(await acknowledged).toMatchObject({
      state: 'acknowledged',
      cause: 'acknowledged',
      by: 'Lea',
      number: START_NUMBER + 2,
    });
    expect(line.alarms.list()[0]?.state).toBe('acknowledged');
    expect(announced(line)).toEqual(['unacknowledged', 'acknowledged']);
  });

  test('an act that the outbox does not take now holds, and is stored and announced once it does', async () => {
    const line = await alarmedLine();
    line.store.down = true;
    expect(await line.alarms.acknowledge('pump-1', 'Lea')).toMatchObject({ state: 'acknowledged', by: 'Lea' });
    await expect(line.alarms.acknowledge('pump-1', 'Lea')).rejects.toMatchObject({ code: 'alarm-not-acknowledgeable' });
    expect(announced(line)).toEqual(['unacknowledged']);
    line.store.down = false;
    await line.clock.advance(5000);
    expect(states(line)).toEqual(['unacknowledged', 'acknowledged']);
    expect(announced(line)).toEqual(['unacknowledged', 'acknowledged']);
  });

  test('an act whose record can never be stored is refused, and can be repeated', async () => {
    const line = await alarmedLine();
    line.store.refusal = new OperatingError('record-too-large', 'reject', 'a record of 9 bytes is over 8');
    await expect(line.alarms.acknowledge('pump-1', 'Lea')).rejects.toMatchObject({ code: 'record-too-large' });
    line.store.refusal = undefined;
    expect(await line.alarms.acknowledge('pump-1', 'Lea')).toMatchObject({
      state: 'acknowledged',
      previous: 'unacknowledged',
      number: START_NUMBER + 3,
    });
    expect(await metricValue(line.deps, 'andon_alarms{state="acknowledged",priority="medium"}')).toBe(1);
    expect(await metricValue(line.deps, 'andon_alarms{state="unacknowledged",priority="medium"}')).toBe(0);
  });

  test('a normal alarm cannot be acknowledged, one that is not shelved not unshelved, an unknown one nothing', async () => {
    const line = await startLine();
    await expect(line.alarms.acknowledge('pump-1', 'Lea')).rejects.toMatchObject({ code: 'alarm-not-acknowledgeable' });
    await expect(line.alarms.unshelve('pump-1', 'Lea')).rejects.toMatchObject({ code: 'alarm-not-shelved' });
    await expect(line.alarms.shelve('pump-9', 1, 'Lea')).rejects.toMatchObject({ code: 'alarm-unknown' });
  });

  test('shelving suppresses annunciation but not the journal, and ends at its time', async () => {
    const line = await startLine();
    await line.second(1, 0);
    await line.alarms.shelve('pump-1', line.clock.nowMs() + 5000, 'Lea');
    await line.second(1, 2);
    await line.second(1, 2);
    expect(announced(line)).toEqual(['shelved']);
    expect(line.store.bodies('alarm').map(({ state, cause }) => [state, cause])).toEqual([
      ['shelved', 'shelved'],
      ['shelved', 'score-above-threshold'],
    ]);
    await line.clock.advance(3000);
    expect(announced(line)).toEqual(['shelved', 'unacknowledged']);
    expect(line.store.bodies('alarm').at(-1)).toMatchObject({ previous: 'shelved', change: 'shelving-ended' });
  });

  test('unshelving restores an active alarm immediately, and no timer ends shelving a second time', async () => {
    const line = await alarmedLine();
    await line.alarms.shelve('pump-1', line.clock.nowMs() + 5000, 'Lea');
    expect(await line.alarms.unshelve('pump-1', 'Lea')).toMatchObject({ state: 'unacknowledged', cause: 'unshelved' });
    await line.clock.advance(10_000);
    expect(states(line)).toEqual(['unacknowledged', 'shelved', 'unacknowledged']);
  });
});

test('shelving outlasts a timer that fires too early', async () => {
  const line = await startLine();
  const setTimer = line.clock.setTimer.bind(line.clock);
  line.clock.setTimer = (callback, delayMs) => setTimer(callback, Math.min(delayMs, 1000));
  await line.alarms.shelve('pump-1', line.clock.nowMs() + 3500, 'Lea');
  await line.clock.advance(3000);
  expect(line.alarms.list()[0]?.state).toBe('shelved');
  await line.clock.advance(600);
  expect(line.alarms.list()[0]?.state).toBe('normal');
});

test('an action that failed is stored in order if the plant changed the alarm after it', async () => {
  const line = await alarmedLine();
  line.store.held = true;
  const act = line.alarms.acknowledge('pump-1', 'Lea');
  await line.second(1, 0);
  line.store.down = true;
  line.store.release();
  expect(await act).toMatchObject({ state: 'acknowledged' });
  line.store.down = false;
  await line.clock.advance(5000);
  expect(line.store.bodies('alarm').map(({ number, state }) => [number, state])).toEqual([
    [START_NUMBER + 1, 'unacknowledged'],
    [START_NUMBER + 2, 'acknowledged'],
    [START_NUMBER + 3, 'normal'],
  ]);
  expect(line.alarms.list()[0]).toMatchObject({ number: START_NUMBER + 3, state: 'normal' });
  expect(announced(line).at(-1)).toBe('normal');
});

test('a change that is stored only after a newer one does not take subscribers back to the old state', async () => {
  const line = await startLine();
  await line.second(1, 0);
  line.store.held = true;
  await line.second(1, 2);
  line.store.held = false;
  await line.second(1, 0);
  line.store.down = true;
  line.store.release();
  await line.clock.advance(0);
  line.store.down = false;
  await line.clock.advance(5000);
  expect(line.store.bodies('alarm').map(({ number }) => number)).toEqual([START_NUMBER + 2, START_NUMBER + 1]);
  expect(announced(line)).toEqual(['returned-unacknowledged']);
  expect(line.alarms.list()[0]?.state).toBe('returned-unacknowledged');
});

test('a thousand alarm records wait for the outbox, then the oldest are lost and counted', async () => {
  const line = await startLine();
  line.store.down = true;
  await line.second(1, 0);
  for (let second = 0; second < 1010; second += 1) await line.second(1, second % 2 === 0 ? 2 : 0);
  expect(await metricValue(line.deps, 'andon_alarm_records_waiting')).toBe(1000);
  expect(await metricValue(line.deps, 'andon_pipeline_records_lost_total{kind="alarm"}')).toBe(10);
  line.store.down = false;
  await line.second(1, 2);
  const numbers = line.store.bodies('alarm').map(({ number }) => number);
  expect(numbers).toEqual(Array.from({ length: 1001 }, (_, index) => START_NUMBER + index + 11));
});

describe('across a restart', () => {
  test('an alarm whose stored state is lost takes no number that it had before', async () => {
    const before = await alarmedLine();
    await before.stop();
    const numbers = before.store.bodies('alarm').map(({ number }) => Number(number));
    const after = await startLine({ store: new FakeRecordStore(), startMs: before.clock.nowMs() });
    for (let second = 0; second < 2; second += 1) await after.second(4.2, 2);
    const [number] = after.store.bodies('alarm').map((body) => Number(body['number']));
    expect(number).toBeGreaterThan(Math.max(...numbers));
  });

  test('an alarm is what it was, and numbers go on', async () => {
    const store = new FakeRecordStore();
    store.restored = [active];
    const line = await startLine({ store });
    expect(line.alarms.list()).toEqual([{ ...active, priority: 'medium' }]);
    expect(await line.alarms.acknowledge('pump-1', 'Lea')).toMatchObject({ number: 8, state: 'acknowledged' });
  });

  test('an active alarm is not raised again by the next abnormal verdict, and clears by a normal one', async () => {
    const store = new FakeRecordStore();
    store.restored = [active];
    const line = await startLine({ store });
    for (const current of [2, 2, 0]) await line.second(1, current);
    expect(line.store.bodies('alarm').map(({ state, number }) => [state, number])).toEqual([
      ['returned-unacknowledged', 8],
    ]);
  });

  test('the dead band holds across it: a score between its edges leaves an active alarm active', async () => {
    const store = new FakeRecordStore();
    store.restored = [active];
    const line = await startLine({ store, watches: { 'pump-1': { alarm: { deadband: 0.6 } } } });
    for (const current of [0.5, 0.5]) await line.second(1, current);
    expect(line.store.bodies('verdict').at(-1)).toMatchObject({ verdict: 'abnormal', score: 0.5 });
  });

  test('the peak of the score holds across it: a machine that drifts is normal again far below it', async () => {
    const facts = { ...active.facts, scoreExtreme: 10 };
    const inference = new FakeInferenceHost({ relativeEnd: { end: 0.3, restart: 1.6 } });
    const store = new FakeRecordStore();
    store.restored = [{ ...active, facts }];
    const line = await startLine({ watches: { 'pump-1': { alarm: {} } }, inference, store });
    for (const current of [4, 4]) await line.second(1, current);
    expect(states(line)).toEqual([]);
    for (const current of [2, 2]) await line.second(1, current);
    expect(states(line)).toEqual(['returned-unacknowledged']);
    const [cleared] = store.appends.flat().flatMap(({ alarm }) => alarm ?? []);
    expect(cleared?.facts.scoreExtreme).toBe(2);
  });

  test('shelving that ran out while the agent was down ends at the start', async () => {
    const store = new FakeRecordStore();
    const facts = { ...active.facts, suppression: 'shelved', shelvedUntilMs: Date.UTC(2025, 11, 31, 12) } as const;
    store.restored = [{ ...active, state: 'shelved', facts }];
    const line = await startLine({ store });
    expect(states(line)).toEqual(['unacknowledged']);
  });

  test('while the stored alarms cannot be read, verdicts wait, operators are refused, and nothing is lost', async () => {
    const store = new FakeRecordStore();
    store.down = true;
    store.restored = [{ ...active, state: 'normal', facts: normalFacts }];
    const line = await startLine({ store });
    await line.second(1, 2);
    await line.second(1, 2);
    await expect(line.alarms.acknowledge('pump-1', 'Lea')).rejects.toMatchObject({ code: 'alarms-not-restored' });
    expect(line.alarms).toMatchObject({ restored: false });
    expect(line.alarms.list()).toEqual([]);
    expect(line.alarms.stateOf('pump-1')).toBeUndefined();
    store.down = false;
    await line.clock.advance(5000);
    // Stored alarms are announced first: a subscriber may have an older state.
    expect(announced(line)).toEqual(['normal', 'unacknowledged']);
    expect(line.store.bodies('alarm').map(({ state, number }) => [state, number])).toEqual([['unacknowledged', 8]]);
    expect(line.deps.health.components().find(({ name }) => name === 'alarms')?.status).toBe('ok');
  });

  test('the configuration takes an alarm out of service and puts it back', async () => {
    const store = new FakeRecordStore();
    store.restored = [active];
    const out = await startLine({ store, watches: { 'pump-1': { alarm: { outOfService: true } } } });
    expect(states(out)).toEqual(['out-of-service']);
    const [stored] = out.alarms.list();
    await out.stop();

    const after = new FakeRecordStore();
    after.restored = stored === undefined ? [] : [stored];
    const back = await startLine({ store: after });
    expect(back.store.bodies('alarm')).toEqual([
      expect.objectContaining({
        state: 'unacknowledged',
        cause: 'returned-to-service',
        by: 'configuration',
        number: 9,
      }),
    ]);
  });
});

describe('suppression by design', () => {
  const watches = { 'pump-1': { alarm: { suppressWhen: { tag: 'pressure', below: 0.5 } } } };

  async function seconds(
    line: Awaited<ReturnType<typeof startLine>>,
    current: number,
    ...pressures: readonly (number | undefined)[]
  ): Promise<void> {
    for (const pressure of pressures) {
      line.pipeline.accept(scan(line.clock.nowMs(), [1, current, pressure]));
      await line.clock.advance(1000);
    }
  }

  test('an alarm raised while the plant stands still is journalled and not announced, until the plant runs', async () => {
    const line = await startLine({ watches });
    await seconds(line, 2, 0.1, 0.1);
    expect(line.store.bodies('alarm').map(({ state, cause }) => [state, cause])).toEqual([
      ['suppressed-by-design', 'suppressed-by-design'],
      ['suppressed-by-design', 'score-above-threshold'],
    ]);
    await seconds(line, 2, 3);
    expect(announced(line)).toEqual(['suppressed-by-design', 'unacknowledged']);
    expect(line.store.bodies('alarm').at(-1)).toMatchObject({
      cause: 'score-above-threshold',
      change: 'returned-to-service',
      by: 'pressure',
    });
  });

  test('a tag that is not good changes nothing: what was suppressed stays so, what was not is raised', async () => {
    const suppressed = await startLine({ watches });
    await seconds(suppressed, 0, 0.1, 0.1, undefined, undefined);
    expect(states(suppressed)).toEqual(['suppressed-by-design']);
    const running = await startLine({ watches });
    await seconds(running, 2, undefined, undefined);
    expect(states(running)).toEqual(['unacknowledged']);
    const doubtful = await startLine({ watches });
    for (let second = 0; second < 2; second += 1) {
      const batch = scan(doubtful.clock.nowMs(), [1, 2, 0.1]);
      batch.qualities[2] = UNCERTAIN;
      doubtful.pipeline.accept(batch);
      await doubtful.clock.advance(1000);
    }
    expect(states(doubtful)).toEqual(['unacknowledged']);
  });
});

test('after the clock was set, shelving ends at the time on the wall', async () => {
  const line = await startLine();
  await line.second(1, 0);
  await line.alarms.shelve('pump-1', line.clock.nowMs() + 3_600_000, 'Lea');
  const nowMs = line.clock.nowMs.bind(line.clock);
  line.clock.nowMs = () => nowMs() + 3_599_000;
  line.pipeline.clockJumped(3_599_000);
  await line.clock.advance(1000);
  expect(line.alarms.list()[0]).toMatchObject({ state: 'normal', cause: 'shelving-ended' });
});

test('windows that were superseded do not hold up an on-delay', async () => {
  const line = await startLine({ watches: { 'pump-1': { alarm: { onDelay: '3s' } } } });
  await line.second(1, 0);
  await line.second(1, 2);
  line.inference.held = true;
  for (let second = 0; second < 3; second += 1) await line.second(1, 2);
  line.inference.release();
  await line.clock.advance(0);
  const verdicts = line.verdicts().map(({ verdict }) => verdict);
  expect(verdicts).toEqual(['abnormal', 'abnormal', 'unknown', 'abnormal']);
  expect(states(line)).toEqual(['unacknowledged']);
});
