import { expect, test } from 'vitest';
import { MqttConnection } from '../../../src/protocols/mqtt/mqtt-connection.ts';
import { MqttBroker } from '../../../src/plant/mqtt-broker.ts';
import { brokerOptions } from '../../support/broker-options.ts';
import { AgentFolder, AgentProcess } from '../../support/start-agent.ts';
import { testDeps } from '../../support/test-deps.ts';

type Tag = { readonly tag: string; readonly value: number | null; readonly unit: string; readonly quality: string };

test('the daemon shows and publishes the tags of a pattern after their first message', async () => {
  using folder = new AgentFolder();
  await using broker = await MqttBroker.listen({ port: 0 });
  folder.configure({
    sources: {
      cell: {
        type: 'mqtt',
        url: broker.url,
        protocolVersion: '3.1.1',
        clientId: 'cell',
        cleanSession: false,
        acknowledge: 'stored',
        patterns: {
          any: { topic: 'acme/{asset}/{name}', tag: '{asset}.{name}', format: 'uns', unit: 'g', maxTags: 2 },
        },
      },
    },
    publish: { type: 'mqtt', url: broker.url, protocolVersion: '3.1.1', tags: ['pump-7.rms'] },
  });
  await using agent = await AgentProcess.start(folder.configFile);
  await using peer = new MqttConnection(brokerOptions(broker.url, { protocolVersion: 4 }), testDeps());
  const published: string[] = [];
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  peer.onState(({ subscribed }) => (subscribed ? resolve() : undefined));
  peer.subscribe(['andon/v1/edge/tag/+'], (topic) => void published.push(topic));
  peer.start();
  await ready;
  const tags = async (): Promise<readonly Tag[]> => {
    for (const asset of ['pump-7', 'pump-8', 'pump-9'])
      await peer.publish(`acme/${asset}/rms`, JSON.stringify({ value: 2.5, timestamp_ms: Date.now() }), {
        qos: 1,
        retain: false,
        timeoutMs: 10_000,
      });
    const answer = await fetch(`${agent.httpUrl}/api/v1/tags`);
    return ((await answer.json()) as { readonly tags: readonly Tag[] }).tags;
  };
  // The source subscribes later. Two tags may be created: one is reserved for the tag that is published by its name.
  await expect
    .poll(async () => (await tags()).map(({ tag, value, unit, quality }) => `${tag} ${value} ${unit} ${quality}`), {
      timeout: 60_000,
    })
    .toEqual(['pump-7.rms 2.5 g good', 'pump-8.rms 2.5 g good']);
  await expect.poll(() => published).toContain('andon/v1/edge/tag/pump-7.rms');
  const metrics = await (await fetch(`${agent.httpUrl}/metrics`)).text();
  expect(metrics).toMatch(/andon_mqtt_topics_left_out_total\{source="cell",pattern="any",reason="too-many"\} [1-9]/);
});
