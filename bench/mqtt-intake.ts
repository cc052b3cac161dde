import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MqttClient } from 'mqtt';
import { connect, connectAsync } from 'mqtt';
import type { SampleBatch } from '../src/domain/sample-batch.ts';
import { SampleHistoryStore } from '../src/outbox/sample-history.ts';
import { mqttKind } from '../src/sources/mqtt/mqtt-kind.ts';
import { Mosquitto } from '../test/support/mosquitto.ts';
import { startOutbox } from './outbox-rows.ts';
import { benchDeps } from './part-rate.ts';
import { median } from './statistics.ts';
import { machineMs } from './workload.ts';

/*
 * `node bench/mqtt-intake.ts [rounds]`: how fast a source of type mqtt takes messages in, against a bare mqtt.js
 * subscriber that only parses them.
 *
 * Each drains the same backlog of a kept session, QoS 1, from mosquitto: nobody publishes meanwhile, so what is
 * measured is the subscriber and the broker's sending. Each runs in a process of its own.
 *
 *   bare     mqtt.js, JSON.parse, nothing else
 *   tags     a source with a tag for each topic
 *   pattern  a source with one pattern for all topics
 *   stored   as pattern, and each message acknowledged only once it is in the history on the disk
 */
const subjects = ['bare', 'tags', 'pattern', 'stored'] as const;
type Subject = (typeof subjects)[number];

type Drained = { readonly perSecond: number; readonly cpuMicrosPerMessage: number };

const MESSAGES = 20_000;
const TOPICS = 100;
const IN_FLIGHT_MAX = 500;
const CLIENT_ID = 'bench-intake';

const [, , role = '3', url = ''] = process.argv;
if (process.send === undefined) await main(Number(role));
else await runSubject(role as Subject, url);

async function main(rounds: number): Promise<void> {
  await using broker = await Mosquitto.start({ lines: ['set_tcp_nodelay true', 'max_queued_bytes 0'] });
  const drained = new Map<Subject, Drained[]>(subjects.map((subject) => [subject, []]));
  for (let round = 0; round < rounds; round += 1)
    for (const subject of subjects) {
      await fillSession(broker.url);
      const result = await measure(subject, broker.url);
      drained.get(subject)?.push(result);
    }
  const bare = perSecondOf(drained.get('bare'));
  for (const [subject, results] of drained) {
    const perSecond = perSecondOf(results);
    const cpu = median(results.map(({ cpuMicrosPerMessage }) => cpuMicrosPerMessage));
    const ratio = (perSecond / bare).toFixed(2);
    console.log(
      `${subject.padEnd(8)} ${Math.round(perSecond)} messages/s  ${cpu.toFixed(1)} µs CPU a message  ${ratio} of bare`,
    );
  }
}

function perSecondOf(results: readonly Drained[] = []): number {
  return median(results.map(({ perSecond }) => perSecond));
}

/** Subscribes under the subject's name, leaves, and publishes the backlog. */
async function fillSession(brokerUrl: string): Promise<void> {
  const subscriber = await connectSession(brokerUrl);
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

async function measure(subject: Subject, brokerUrl: string): Promise<Drained> {
  const child = fork(import.meta.filename, [subject, brokerUrl], { execArgv: [] });
  const [result] = (await once(child, 'message')) as [Drained];
  if (child.exitCode === null) await once(child, 'exit');
  return result;
}

async function runSubject(subject: Subject, brokerUrl: string): Promise<void> {
  const { promise: done, resolve } = Promise.withResolvers<Drained>();
  let count = 0;
  let fromMs = 0;
  let fromCpu = process.cpuUsage();
  const take = (): void => {
    if (count === 0) {
      fromMs = machineMs();
      fromCpu = process.cpuUsage();
    }
    count += 1;
    if (count < MESSAGES) return;
    const { user, system } = process.cpuUsage(fromCpu);
    const perSecond = (MESSAGES * 1000) / (machineMs() - fromMs);
    resolve({ perSecond, cpuMicrosPerMessage: (user + system) / MESSAGES });
  };
  await using stack = new AsyncDisposableStack();
  if (subject === 'bare') await startBare(brokerUrl, stack, take);
  else await startSource(subject, brokerUrl, stack, take);
  process.send?.(await done);
  await stack.disposeAsync();
  process.exit(0);
}

async function startBare(brokerUrl: string, stack: AsyncDisposableStack, take: () => void): Promise<void> {
  const client = await connectSession(brokerUrl, (_topic, payload) => {
    const { rms } = JSON.parse(payload.toString()) as { readonly rms: number };
    if (Number.isFinite(rms)) take();
  });
  stack.defer(() => client.endAsync(true));
}

async function startSource(
  subject: Exclude<Subject, 'bare'>,
  brokerUrl: string,
  stack: AsyncDisposableStack,
  take: () => void,
): Promise<void> {
  const deps = benchDeps();
  const folder = mkdtempSync(join(tmpdir(), 'andon-bench-intake-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const outbox = stack.use(await startOutbox(folder, [], deps));
  const names = Array.from({ length: TOPICS }, (_, topic) => `pump-${topic}.vibration`);
  const history = stack.use(
    new SampleHistoryStore({ outbox, tags: names.map((name, number) => ({ name, number })), deps }),
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
    mqttKind.create({
      id: 'cell',
      config,
      tagNumbers: new Map(names.map((name, number) => [name, number])),
      bindTag: (_pattern, name) => names.indexOf(name),
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
  onMessage: (topic: string, payload: Buffer) => void = () => undefined,
): Promise<MqttClient> {
  const properties = { sessionExpiryInterval: 3600, receiveMaximum: 1000 };
  const client = connect(brokerUrl, { clientId: CLIENT_ID, clean: false, protocolVersion: 5, properties });
  // What the broker kept comes right after the login.
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
