import { connectAsync } from 'mqtt';
import { describe, expect, test, vi } from 'vitest';
import type { z } from 'zod';
import type { AlarmCommands } from '../../src/contracts/alarm-commands.ts';
import { LiveEvents } from '../../src/contracts/live-events.ts';
import { type AlarmState, type AlarmTransition, normalFacts } from '../../src/domain/alarm/alarm.ts';
import type { Verdict } from '../../src/domain/alarm/verdict.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { publishSchema } from '../../src/uplinks/publish-config.ts';
import { Publisher } from '../../src/uplinks/publisher.ts';
import { RawBroker } from '../support/broker-raw.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { describeWith } from '../support/programs.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';
import { UpstreamBroker } from '../support/upstream-broker.ts';

const base = 'andon/v1/edge-01';
const timestampMs = 1_767_225_600_000;

type Config = Partial<z.input<typeof publishSchema>>;
type Bench = {
  readonly broker: UpstreamBroker;
  readonly events: LiveEvents;
  readonly transitions: Map<string, AlarmTransition>;
  readonly deps: Deps;
  readonly publisher: Publisher;
  readonly online: () => Promise<void>;
};

async function withBench(run: (bench: Bench) => Promise<void>, config: Config = {}): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const broker = stack.use(await new UpstreamBroker().listen());
  const events = new LiveEvents();
  const transitions = new Map<string, AlarmTransition>();
  const deps = { ...testDeps(), random: Math.random };
  const publisher = stack.use(publisherOn(broker.url, events, transitions, deps, config));
  publisher.start();
  const online = () => eventually(() => expect(health(deps)?.status).toBe('ok'));
  await online();
  await run({ broker, events, transitions, deps, publisher, online });
}

function publisherOn(
  url: string,
  events: LiveEvents,
  transitions: ReadonlyMap<string, AlarmTransition>,
  deps: Deps,
  config: Config = {},
): Publisher {
  const parsed = publishSchema.parse({ type: 'mqtt', url, reconnectMin: '10ms', reconnectMax: '20ms', ...config });
  return new Publisher({
    agentId: 'edge-01',
    config: parsed,
    events,
    alarms: deskOf(transitions),
    watches: { summaries: () => [] },
    deps,
  });
}

function deskOf(transitions: ReadonlyMap<string, AlarmTransition>): AlarmCommands {
  const refused = () => Promise.reject(new Error('no alarm commands in this test'));
  return {
    restored: true,
    list: () => [...transitions.values()],
    acknowledge: refused,
    shelve: refused,
    unshelve: refused,
  };
}

function transition(watch: string, state: AlarmState, number = 1): AlarmTransition {
  return {
    alarm: `watch/${watch}`,
    watch,
    number,
    state,
    previous: 'normal',
    priority: 'high',
    cause: 'score-above-threshold',
    message: 'vibration is high',
    parameters: {},
    by: undefined,
    timestampMs,
    score: 0.9,
    facts: { ...normalFacts, active: true, acknowledged: false },
  };
}

function verdict(watch: string, score: number): Verdict {
  return {
    watch,
    timestampMs,
    verdict: 'abnormal',
    score,
    threshold: 0.5,
    reason: undefined,
    judgedBy: { model: 'pump-anomaly', version: 3, provider: 'cpu', fallbacks: [] },
    contributions: [{ tag: 'pump-1.vibration', share: 0.75 }],
  };
}

function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 60_000, interval: 5 });
}

function health(deps: Deps) {
  return deps.health.components().find(({ name }) => name === 'publish');
}

describe('the state of the agent', () => {
  test('has a will that is newer than the online message, so that a consumer of the newest shows a killed box as offline', async () => {
    await withBench(async ({ broker, events }) => {
      await eventually(() => expect(broker.on(`${base}/state`).length).toBe(1));
      broker.faults.push('lose');
      events.emit({ type: 'verdict', verdict: verdict('pump-1', 0.9), id: 'edge-01/e1/1' });
      await eventually(() => expect(broker.on(`${base}/state`).length).toBe(3));
      const times = broker.on(`${base}/state`).map((state) => (state as { timestamp_ms: number }).timestamp_ms);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(times[1]).toBeGreaterThan(times[0] ?? 0);
    });
  });

  test('is online after the connect and offline after a clean stop, retained', async () => {
    await withBench(async ({ broker, publisher }) => {
      await eventually(() => expect(broker.on(`${base}/state`)).toMatchObject([{ state: 'online' }]));
      await publisher[Symbol.asyncDispose]();
      expect(broker.on(`${base}/state`)).toMatchObject([{ state: 'online' }, { state: 'offline' }]);
      expect(JSON.parse(broker.retained.get(`${base}/state`) ?? '')).toEqual({
        state: 'offline',
        timestamp_ms: expect.any(Number),
      });
    });
  });

  test('is published as offline by the broker if the agent ends without a DISCONNECT', async () => {
    await withBench(async ({ broker, events, online }) => {
      await eventually(() => expect(broker.on(`${base}/state`).length).toBe(1));
      broker.faults.push('lose');
      events.emit({ type: 'verdict', verdict: verdict('pump-1', 0.9), id: 'edge-01/e1/1' });
      await eventually(() =>
        expect(broker.on(`${base}/state`)).toMatchObject([
          { state: 'online' },
          { state: 'offline' },
          { state: 'online' },
        ]),
      );
      await online();
    });
  });
});

describe('a verdict', () => {
  test('reaches subscribers on the topic of its watch, with the id of its record', async () => {
    await withBench(async ({ broker, events }) => {
      events.emit({ type: 'verdict', verdict: verdict('pump-1', 0.9), id: 'edge-01/e1/7' });
      await eventually(() => expect(broker.on(`${base}/verdict/pump-1`).length).toBe(1));
      expect(broker.on(`${base}/verdict/pump-1`)[0]).toEqual({
        watch: 'pump-1',
        timestamp_ms: timestampMs,
        score: 0.9,
        threshold: 0.5,
        verdict: 'abnormal',
        reason: '',
        model: 'pump-anomaly',
        version: 3,
        contributions: [{ tag: 'pump-1.vibration', share: 0.75 }],
        id: 'edge-01/e1/7',
      });
      const message = broker.published.items.find(({ topic }) => topic.includes('/verdict/'));
      expect(message).toMatchObject({ qos: 1, retain: false });
    });
  });

  test('is dropped and counted while the broker is unreachable, and never sent late', async () => {
    await withBench(async ({ broker, events, deps, online }) => {
      await broker.stop();
      await eventually(() => expect(health(deps)?.status).toBe('degraded'));
      events.emit({ type: 'verdict', verdict: verdict('pump-1', 0.1), id: 'edge-01/e1/1' });
      await broker.listen();
      await online();
      events.emit({ type: 'verdict', verdict: verdict('pump-1', 0.2), id: 'edge-01/e1/2' });
      await eventually(() => expect(broker.on(`${base}/verdict/pump-1`)).toMatchObject([{ score: 0.2 }]));
      const dropped = 'andon_publish_dropped_total{topic="verdict",reason="not-connected"}';
      expect(await metricValue(deps, dropped)).toBe(1);
    });
  });

  test('is replaced by the next of its watch while the broker is slow, and sent after every alarm', async () => {
    await withBench(async ({ broker, events, deps }) => {
      await eventually(() => expect(broker.on(`${base}/state`).length).toBe(1));
      broker.holds = true;
      for (let score = 1; score <= 500; score += 1)
        events.emit({ type: 'verdict', verdict: verdict(`pump-${score % 2}`, score), id: `edge-01/e1/${score}` });
      events.emit({ type: 'alarm', transition: transition('pump-1', 'unacknowledged'), id: 'edge-01/e1/501' });
      await eventually(() => expect(broker.heldMost).toBeGreaterThan(40));
      expect(broker.heldMost).toBeLessThanOrEqual(50);
      broker.release();
      await eventually(() => expect(broker.on(`${base}/verdict/pump-0`).at(-1)).toMatchObject({ score: 500 }));
      expect(broker.on(`${base}/verdict/pump-1`).at(-1)).toMatchObject({ score: 499 });
      const topics = broker.published.items.map(({ topic }) => topic);
      expect(topics.indexOf(`${base}/alarm/pump-1`)).toBeLessThan(topics.lastIndexOf(`${base}/verdict/pump-0`));
      const dropped = 'andon_publish_dropped_total{topic="verdict",reason="superseded"}';
      const arrived = broker.published.items.filter(({ topic }) => topic.startsWith(`${base}/verdict/`)).length;
      expect(arrived).toBeLessThan(60);
      expect(await metricValue(deps, dropped), 'each is sent or counted').toBe(500 - arrived);
    });
  });
});

describe('an alarm', () => {
  test('is retained on the topic of its watch', async () => {
    await withBench(async ({ broker, events, transitions }) => {
      const raised = transition('pump-1', 'unacknowledged');
      transitions.set('pump-1', raised);
      events.emit({ type: 'alarm', transition: raised, id: 'edge-01/e1/9' });
      await eventually(() => expect(broker.retained.has(`${base}/alarm/pump-1`)).toBe(true));
      expect(JSON.parse(broker.retained.get(`${base}/alarm/pump-1`) ?? '')).toMatchObject({
        watch: 'pump-1',
        state: 'unacknowledged',
        previous: 'normal',
        priority: 'high',
        cause: 'score-above-threshold',
        timestamp_ms: timestampMs,
        score: 0.9,
        id: 'edge-01/e1/9',
      });
    });
  });

  test('that was stored before this start is retained without an id', async () => {
    await withBench(async ({ broker, events, transitions }) => {
      const raised = transition('pump-1', 'shelved');
      transitions.set('pump-1', raised);
      events.emit({ type: 'alarm', transition: raised, id: undefined });
      await eventually(() => expect(broker.retained.has(`${base}/alarm/pump-1`)).toBe(true));
      const payload: unknown = JSON.parse(broker.retained.get(`${base}/alarm/pump-1`) ?? '');
      expect(payload).toMatchObject({ state: 'shelved' });
      expect(payload).not.toHaveProperty('id');
    });
  });

  test('of every watch is published again after each connect, in its current state', async () => {
    await withBench(async ({ broker, events, transitions, deps, online }) => {
      transitions.set('pump-1', transition('pump-1', 'unacknowledged'));
      transitions.set('pump-2', transition('pump-2', 'normal'));
      await broker.stop();
      await eventually(() => expect(health(deps)?.status).toBe('degraded'));
      const acknowledged = transition('pump-1', 'acknowledged', 2);
      transitions.set('pump-1', acknowledged);
      events.emit({ type: 'alarm', transition: acknowledged, id: 'edge-01/e1/12' });
      broker.retained.clear();
      await broker.listen();
      await online();
      await eventually(() => expect(broker.retained.size).toBe(5));
      expect(broker.on(`${base}/alarm/pump-1`)).toMatchObject([{ state: 'acknowledged', id: 'edge-01/e1/12' }]);
      expect(broker.on(`${base}/alarm/pump-2`)).toMatchObject([{ state: 'normal' }]);
      expect(broker.on(`${base}/alarm/watch/pump-2`)).toMatchObject([{ alarm: 'watch/pump-2', state: 'normal' }]);
    });
  });
});

describe('tag values', () => {
  const reading = { unit: 'bar', timestampMs, quality: 'good', reason: 'none' } as const;
  const event = {
    type: 'tags',
    tags: [
      { ...reading, tag: 'pump-1.pressure', value: 4.2 },
      { ...reading, tag: 'pump-1.current', value: undefined, quality: 'bad', reason: 'timeout' },
    ],
  } as const;

  const pressure = { value: 4.2, timestamp_ms: timestampMs, quality: 'good' };
  const current = { value: null, timestamp_ms: timestampMs, quality: 'bad' };

  test.each([
    { tags: false, expected: [[], []] },
    { tags: true, expected: [[pressure], [current]] },
    { tags: ['pump-1.pressure'], expected: [[pressure], []] },
  ])('are published on request only: tags $tags', async ({ tags, expected }) => {
    await withBench(
      async ({ broker, events }) => {
        events.emit(event);
        events.emit({ type: 'verdict', verdict: verdict('pump-1', 1), id: 'edge-01/e1/1' });
        await eventually(() => expect(broker.on(`${base}/verdict/pump-1`).length).toBe(1));
        const published = ['pump-1.pressure', 'pump-1.current'].map((tag) => broker.on(`${base}/tag/${tag}`));
        expect(published).toEqual(expected);
      },
      { tags },
    );
  });
});

test('an alarm at which the broker closes the connection is not sent again, and the others are', async () => {
  await using stack = new AsyncDisposableStack();
  const broker = stack.use(await RawBroker.listen());
  broker.acknowledgePublishes = false;
  const accepted: string[] = [];
  broker.onPacket = ({ first, body }, socket) => {
    if (first >> 4 !== 3) return;
    const topicEnd = 2 + body.readUInt16BE(0);
    if (body.length > 1500) return void socket.destroy();
    accepted.push(body.subarray(2, topicEnd).toString());
    socket.write(Uint8Array.from([0x40, 2, ...body.subarray(topicEnd, topicEnd + 2)]));
  };
  const long = { ...transition('pump-1', 'unacknowledged'), message: 'x'.repeat(3000) };
  const transitions = new Map([
    ['pump-1', long],
    ['pump-2', transition('pump-2', 'unacknowledged')],
  ]);
  const deps = testDeps();
  const events = new LiveEvents();
  const publisher = stack.use(publisherOn(broker.url, events, transitions, deps, { protocolVersion: '3.1.1' }));
  publisher.start();
  await eventually(() => expect(accepted).toContain(`${base}/alarm/pump-2`));
  await eventually(() => {
    events.emit({ type: 'verdict', verdict: verdict('pump-1', 0.9), id: 'edge-01/e1/1' });
    expect(accepted).toContain(`${base}/verdict/pump-1`);
  });
  expect(
    await metricValue(deps, 'andon_publish_dropped_total{topic="alarm",reason="mqtt-publish-too-large"}'),
  ).toBeGreaterThan(0);
});

test('the newest value of a tag is sent, at most once in tagInterval', async () => {
  await withBench(
    async ({ broker, events }) => {
      const reading = { unit: '', timestampMs, quality: 'good', reason: 'none' } as const;
      const emit = (value: number) => events.emit({ type: 'tags', tags: [{ ...reading, tag: 'a', value }] });
      for (const value of [1, 2, 3, 4]) emit(value);
      await eventually(() => expect(broker.on(`${base}/tag/a`)).toMatchObject([{ value: 1 }, { value: 4 }]));
    },
    { tags: true, tagInterval: '200ms' },
  );
});

test('with retain: false nothing is retained, the will included', async () => {
  await withBench(
    async ({ broker, events, transitions, online }) => {
      const active = transition('pump-1', 'unacknowledged');
      transitions.set('pump-1', active);
      events.emit({ type: 'alarm', transition: active, id: 'edge-01/e1/1' });
      await eventually(() => expect(broker.on(`${base}/alarm/pump-1`).length).toBe(1));
      broker.faults.push('lose');
      events.emit({ type: 'verdict', verdict: verdict('pump-1', 0.9), id: 'edge-01/e1/2' });
      await eventually(() => expect(broker.on(`${base}/state`).length).toBe(3));
      await online();
      expect(broker.published.items.filter(({ retain }) => retain)).toEqual([]);
    },
    { retain: false },
  );
});

test('a stop without a broker is quick, and may be called twice, or before the start', async () => {
  await withBench(async ({ broker, publisher, deps }) => {
    await broker.stop();
    await eventually(() => expect(health(deps)?.status).toBe('degraded'));
    await Promise.all([publisher[Symbol.asyncDispose](), publisher[Symbol.asyncDispose]()]);
    expect(health(deps)).toBeUndefined();
  });
  const never = publisherOn('mqtt://127.0.0.1:1', new LiveEvents(), new Map(), testDeps());
  await never[Symbol.asyncDispose]();
  never.start();
});

describeWith(['mosquitto'], 'with mosquitto', () => {
  test('a later subscriber receives the retained alarm and state', async () => {
    await using broker = await Mosquitto.start();
    const deps = testDeps();
    const transitions = new Map([['pump-1', transition('pump-1', 'unacknowledged')]]);
    await using publisher = publisherOn(broker.url, new LiveEvents(), transitions, deps);
    publisher.start();
    await eventually(async () => {
      expect(await metricValue(deps, 'andon_publish_sent_total{topic="alarm"}')).toBe(2);
    });
    const client = await connectAsync(broker.url);
    const seen = new Map<string, unknown>();
    client.on('message', (topic, payload, { retain }) => retain && seen.set(topic, JSON.parse(payload.toString())));
    await client.subscribeAsync(`${base}/#`);
    await eventually(() => expect(seen.get(`${base}/alarm/pump-1`)).toMatchObject({ state: 'unacknowledged' }));
    expect(seen.get(`${base}/state`)).toMatchObject({ state: 'online' });
    await client.endAsync(true);
  });

  describe('that keeps no retained messages', () => {
    const reasonOf = async (config: Config) => {
      await using broker = await Mosquitto.start({ lines: ['retain_available false'] });
      const deps = testDeps();
      const transitions = new Map([['pump-1', transition('pump-1', 'unacknowledged')]]);
      const client = await connectAsync(broker.url);
      const seen: string[] = [];
      client.on('message', (topic) => seen.push(topic));
      await client.subscribeAsync(`${base}/#`, { qos: 1 });
      await using publisher = publisherOn(broker.url, new LiveEvents(), transitions, deps, config);
      publisher.start();
      if (config.protocolVersion === '3.1.1' && config.retain !== false)
        await eventually(() => expect(health(deps)?.status).toBe('degraded'));
      else
        await eventually(() =>
          expect(seen.slice(0, 3)).toEqual(expect.arrayContaining([`${base}/state`, `${base}/alarm/pump-1`])),
        );
      await client.endAsync(true);
      return health(deps)?.reason;
    };

    test('state and alarms are published without, and health names it', async () => {
      await expect(reasonOf({})).resolves.toBe(
        'The broker keeps no retained messages: a later subscriber waits for the next state and alarm. retain: false accepts this',
      );
    });

    test('with MQTT 3.1.1 health names the possible cause and the key', async () => {
      await expect(reasonOf({ protocolVersion: '3.1.1' })).resolves.toContain(
        'A broker without retained messages closes it at the login: publish.retain: false',
      );
    });

    test.each(['3.1.1', 5] as const)('MQTT %s works with retain: false', async (protocolVersion) => {
      await expect(reasonOf({ protocolVersion, retain: false })).resolves.toBe('');
    });
  });

  test('a broker that refuses alarms is named in health', async () => {
    await using broker = await Mosquitto.start({ acl: `topic write ${base}/state\n` });
    const deps = testDeps();
    const transitions = new Map([['pump-1', transition('pump-1', 'unacknowledged')]]);
    await using publisher = publisherOn(broker.url, new LiveEvents(), transitions, deps);
    publisher.start();
    await eventually(() => expect(health(deps)?.reason).toMatch(/\/alarm\/(?:watch\/)?pump-1/));
  });
});
