import { MqttConnection } from '../../src/protocols/mqtt/mqtt-connection.ts';
import { sparkplugKind } from '../../src/sources/sparkplug/sparkplug-kind.ts';
import { SparkplugSource } from '../../src/sources/sparkplug/sparkplug-source.ts';
import { brokerOptions } from './broker-options.ts';
import { Recorder } from './broker-recorder.ts';
import { SourceHarness } from './source-harness.ts';
import { metricValue, testDeps } from './test-deps.ts';

/**
 * A subscribed Sparkplug source and an edge node's connection to the same broker.
 *
 * @param own Registers what the test disposes of.
 * @param tagsMax Largest number of tags, discovered ones included.
 */
export async function sparkplugPlant(
  url: string,
  own: <T extends AsyncDisposable>(resource: T) => T,
  settings: Record<string, unknown>,
  tagsMax?: number,
) {
  const deps = testDeps();
  const config = sparkplugKind.schema.parse({
    type: 'sparkplug',
    url,
    protocolVersion: '3.1.1',
    reconnectMin: '20ms',
    reconnectMax: '100ms',
    ...settings,
  });
  const harness = new SourceHarness(Object.keys(config.tags), tagsMax);
  const { tagNumbers, bindTag, sink, stateFolder, history } = harness;
  const connection = own(new MqttConnection(brokerOptions(url, { protocolVersion: 4 }), testDeps()));
  const { promise, resolve } = Promise.withResolvers<void>();
  connection.onState(({ subscribed }) => (subscribed ? resolve() : undefined));
  const received = new Recorder<{ topic: string; payload: Buffer; retain: boolean }>();
  connection.subscribe(['spBv1.0/acme/NCMD/+', 'spBv1.0/STATE/+'], (topic, payload, retain) =>
    received.push({ topic, payload: Buffer.from(payload), retain }),
  );
  connection.start();
  await promise;
  const source = own(
    new SparkplugSource({ id: 'line', config, tagNumbers, bindTag, sink, stateFolder, history, deps }),
  );
  source.start();
  const health = () => deps.health.components().find(({ name }) => name === 'source/line');
  // The first report comes with the answer to the subscriptions.
  await waitFor(() => health()?.status !== 'starting');
  const say = (topic: string, payload: Uint8Array, retain = false) =>
    connection.publish(topic, Buffer.from(payload), { qos: 0, retain, timeoutMs: 10_000 });
  const leftOut = (reason: string) =>
    metricValue(deps, `andon_sparkplug_messages_left_out_total{source="line",reason="${reason}"}`);
  return { harness, deps, say, received, health, leftOut, source };
}

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
