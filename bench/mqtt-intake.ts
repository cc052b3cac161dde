import { tmpdir } from 'node:os';
import { connect, connectAsync, type MqttClient } from 'mqtt';
import type { SampleBatch } from '../src/domain/sample/sample-batch.ts';
import { SampleHistoryStore } from '../src/outbox/sample-history.ts';
import { mqttKind } from '../src/sources/mqtt/mqtt-kind.ts';
import { MqttSource } from '../src/sources/mqtt/mqtt-source.ts';
import { startHistory } from './outbox-rows.ts';
import { benchDeps } from './part-rate.ts';
import type { PartOptions } from './part-options.ts';
import { machineMs } from './workload.ts';

/*
 * Measures how fast a source of type mqtt receives messages, compared with a bare mqtt.js subscriber that only parses them. Each drains
 * the same backlog of a persistent session, QoS 1. No client publishes meanwhile, so the figure covers the subscriber and the
 * sending by the broker.
 */

const MESSAGES = 50_000;
const TOPICS = 100;
const IN_FLIGHT_MAX = 500;
const CLIENT_ID = 'bench-intake';

/** Measures messages per second of a source with a tag for each topic. */
export function intakeTags(options: PartOptions): Promise<number> {
  return intakeOfSource('tags', options);
}

/** Measures the same with one pattern for all topics. */
export function intakePattern(options: PartOptions): Promise<number> {
  return intakeOfSource('pattern', options);
}

/** Measures the same with each message acknowledged after its sample is in the history on disk. */
export function intakeStored(options: PartOptions): Promise<number> {
  return intakeOfSource('stored', options);
}

/** Measures mqtt.js and JSON.parse alone. */
export async function intakeLimit({ brokerUrl }: PartOptions): Promise<number> {
  await fillSession(brokerUrl);
  const intake = new Intake();
  const client = await connectSession(brokerUrl, { clean: false }, (_topic, payload) => {
    const { rms } = JSON.parse(payload.toString()) as { readonly rms: number };
    if (Number.isFinite(rms)) intake.take();
  });
  const perSecond = await intake.done;
  await client.endAsync(true);
  return perSecond;
}

async function intakeOfSource(subject: 'tags' | 'pattern' | 'stored', options: PartOptions): Promise<number> {
  await fillSession(options.brokerUrl);
  const intake = new Intake();
  await using stack = new AsyncDisposableStack();
  await startSource(subject, options, stack, () => intake.take());
  return await intake.done;
}

/** Counts from the first message of the backlog to the last. */
class Intake {
  readonly #done = Promise.withResolvers<number>();
  #count = 0;
  #fromMs = 0;

  /** Messages per second. */
  get done(): Promise<number> {
    return this.#done.promise;
  }

  take(): void {
    if (this.#count === 0) this.#fromMs = machineMs();
    this.#count += 1;
    if (this.#count === MESSAGES) this.#done.resolve((MESSAGES * 1000) / (machineMs() - this.#fromMs));
  }
}

/** Starts a new session, disconnects, and publishes the backlog. */
async function fillSession(brokerUrl: string): Promise<void> {
  const subscriber = await connectSession(brokerUrl, { clean: true });
  await subscriber.subscribeAsync('acme/lyon/+/vibration', { qos: 1 });
  await subscriber.endAsync();
  const publisher = await connectAsync(brokerUrl);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < MESSAGES; index = next++)
      await publisher.publishAsync(topicOf(index % TOPICS), payloadOf(index), { qos: 1 });
  };
  await Promise.all(Array.from({ length: IN_FLIGHT_MAX }, lane));
  await publisher.endAsync();
}

async function startSource(
  subject: 'tags' | 'pattern' | 'stored',
  { brokerUrl, folder }: PartOptions,
  stack: AsyncDisposableStack,
  take: () => void,
): Promise<void> {
  const deps = benchDeps();
  const storage = stack.use(startHistory(folder, deps));
  const names = Array.from({ length: TOPICS }, (_, topic) => `pump-${topic}.vibration`);
  const history = stack.use(
    new SampleHistoryStore({
      storage,
      tags: names.map((name) => ({ name, source: 'cell' })),
      lost: () => undefined,
      deps,
    }),
  );
  const reading = { value: '$.rms', time: '$.timestamp_ms' };
  const config = mqttKind.schema.parse({
    type: 'mqtt',
    url: brokerUrl,
    clientId: CLIENT_ID,
    cleanSession: false,
    acknowledge: subject === 'stored' ? 'stored' : 'received',
    ...(subject === 'tags'
      ? { tags: Object.fromEntries(names.map((name, topic) => [name, { topic: topicOf(topic), ...reading }])) }
      : { patterns: { vibration: { topic: 'acme/lyon/{asset}/vibration', tag: '{asset}.vibration', ...reading } } }),
  });
  const source = stack.use(
    new MqttSource({
      id: 'cell',
      config,
      tagNumbers: new Map(names.map((name, number) => [name, number])),
      bindTag: (_pattern, name) => names.indexOf(name),
      stateFolder: tmpdir(),
      sink: {
        accept: (batch: SampleBatch) => {
          if (batch.reasons[0] !== 0) return;
          history.add(batch);
          take();
        },
      },
      history: { add: (batch) => history.add(batch), stored: () => history.flush() },
      deps,
    }),
  );
  source.start();
}

async function connectSession(
  brokerUrl: string,
  { clean }: { readonly clean: boolean },
  onMessage: (topic: string, payload: Buffer) => void = () => undefined,
): Promise<MqttClient> {
  const properties = { sessionExpiryInterval: 3600, receiveMaximum: 1000 };
  const client = connect(brokerUrl, { clientId: CLIENT_ID, clean, protocolVersion: 5, properties });
  // The broker sends the backlog immediately after the login.
  client.on('message', onMessage);
  await new Promise<void>((resolve) => {
    client.once('connect', () => resolve());
  });
  return client;
}

function topicOf(topic: number): string {
  return `acme/lyon/pump-${topic}/vibration`;
}

function payloadOf(index: number): string {
  return JSON.stringify({ rms: index / 100, peak: index / 50, timestamp_ms: 1_780_000_000_000 + index });
}
