import { expect, test } from 'vitest';
import type { WaveformJob, WaveformResult } from '../../../src/contracts/waveforms/waveform-analysis.ts';
import { mqttKind } from '../../../src/sources/mqtt/mqtt-kind.ts';
import { MqttSource } from '../../../src/sources/mqtt/mqtt-source.ts';
import { MqttConnection } from '../../../src/protocols/mqtt/mqtt-connection.ts';
import { brokerOptions } from '../../support/broker-options.ts';
import { Mosquitto } from '../../support/mosquitto.ts';
import { describeWith } from '../../support/programs.ts';
import { plainSource } from '../../support/source-context.ts';
import { SourceHarness } from '../../support/source-harness.ts';
import { AgentFolder, AgentProcess } from '../../support/start-agent.ts';
import { metricValue, testDeps } from '../../support/test-deps.ts';

const vibration = {
  type: 'waveform',
  topic: 'line/vibration',
  value: '$.samples',
  time: '$.time',
  quality: '$.quality',
  sampleRate: 1000,
  samplesMin: 16,
  scale: 2,
  unit: 'g',
  features: { rms: { type: 'rms' }, peak: { type: 'peak' } },
};
const TIME_MS = 1_796_000_000_000;

/** A connected client that publishes with QoS 1. */
async function publisherTo(url: string) {
  const peer = new MqttConnection(brokerOptions(url), testDeps());
  const { promise, resolve } = Promise.withResolvers<void>();
  peer.onState(({ connected }) => (connected ? resolve() : undefined));
  peer.start();
  await promise;
  return {
    publish: (topic: string, payload: string) =>
      peer.publish(topic, payload, { qos: 1, retain: false, timeoutMs: 60_000 }),
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  };
}

function wave(count: number, amplitude = 1): readonly number[] {
  return Array.from({ length: count }, (_, index) => amplitude * Math.sin((2 * Math.PI * 50 * index) / 1000));
}

describeWith(['mosquitto'], 'waveforms of mosquitto', () => {
  test('each waveform makes one sample of each feature, in order, and one that is not usable makes bad ones', async () => {
    await using broker = await Mosquitto.start();
    const deps = testDeps();
    const config = mqttKind.schema.parse({ type: 'mqtt', url: broker.url, tags: { vibration } });
    const harness = new SourceHarness(mqttKind.tags(config).map(({ name }) => name));
    const jobs: WaveformJob[] = [];
    const waits = [Promise.withResolvers<WaveformResult>(), Promise.withResolvers<WaveformResult>()];
    const waveforms = {
      analyse: (job: WaveformJob) => waits[jobs.push(job) - 1]?.promise ?? Promise.reject(new Error('too many')),
    };
    await using source = new MqttSource({
      ...plainSource,
      id: 'cell',
      config,
      tagNumbers: harness.tagNumbers,
      sink: harness.sink,
      waveforms,
      deps,
    });
    source.start();
    await expect.poll(() => deps.health.components()).toMatchObject([{ status: 'ok' }]);
    await using peer = await publisherTo(broker.url);
    const send = (samples: unknown, more: object = {}) =>
      peer.publish('line/vibration', JSON.stringify({ samples, time: TIME_MS, ...more }));
    const long = wave(20);
    await send(long);
    await send(long, { quality: 'uncertain' });
    await send([1, 2]);
    await send([...long.slice(1), 'NaN']);
    await send(7);
    await send(long, { quality: 'bad' });
    await send(long);
    await expect.poll(() => jobs.length).toBe(3);
    expect(harness.batches.items).toEqual([]);
    expect([...(jobs[0]?.samples ?? [])]).toEqual(long.map((value) => 2 * value));
    expect(jobs[0]).toMatchObject({ tag: 'vibration', timeMs: TIME_MS, rules: { sampleRate: 1000, unit: 'g' } });
    // The later result waits for the earlier one.
    const spectrum = { stepHz: 1, amplitudes: new Float32Array(1) };
    waits[1]?.resolve({ values: Float64Array.of(3, 4), spectrum, envelope: undefined });
    waits[0]?.resolve({ values: Float64Array.of(1, Number.NaN), spectrum, envelope: undefined });
    await harness.batches.count(7);
    const seen = harness.batches.items.map((batch) =>
      batch.map(({ tag, value, quality, reason }) => `${tag} ${value} ${quality} ${reason}`),
    );
    const bad = (reason: string) => ['rms', 'peak'].map((feature) => `vibration.${feature} NaN bad ${reason}`);
    expect(seen).toEqual([
      ['vibration.rms 1 good none', 'vibration.peak NaN bad not-finite'],
      ['vibration.rms 3 uncertain marked-not-good', 'vibration.peak 4 uncertain marked-not-good'],
      bad('waveform-short'),
      bad('not-finite'),
      bad('payload-invalid'),
      bad('marked-not-good'),
      bad('waveform-dropped'),
    ]);
    expect(harness.batches.items.flat().every(({ timeMs }) => timeMs === TIME_MS)).toBe(true);
    const faults = (reason: string) =>
      metricValue(deps, `andon_mqtt_message_faults_total{source="cell",reason="${reason}"}`);
    expect(await faults('waveform-short')).toBe(1);
    expect(await faults('not-finite')).toBe(1);
  });

  test('eight channels of 1,000 samples a message lose none, and their features and spectra are shown', async () => {
    using folder = new AgentFolder();
    await using broker = await Mosquitto.start();
    const channels = Array.from({ length: 8 }, (_, index) => `motor-${index + 1}.vibration`);
    const rounds = 10;
    folder.configure({
      sources: {
        cell: {
          type: 'mqtt',
          url: broker.url,
          tags: Object.fromEntries(
            channels.map((name) => [
              name,
              { type: 'waveform', topic: `line/${name}`, sampleRate: 1000, samplesMin: 1000, unit: 'm/s²' },
            ]),
          ),
        },
      },
    });
    await using agent = await AgentProcess.start(folder.configFile);
    const read = async (path: string) => (await fetch(`${agent.httpUrl}${path}`)).json();
    await expect
      .poll(async () => JSON.stringify(await read('/healthz')), { timeout: 60_000 })
      .toContain('"name":"source/cell","status":"ok"');
    const analysed = async () => {
      const metrics = await (await fetch(`${agent.httpUrl}/metrics`)).text();
      expect(metrics).not.toMatch(/andon_waveforms_dropped_total\{.*\} [1-9]/);
      return Number(/^andon_waveforms_total (\d+)$/m.exec(metrics)?.[1] ?? 0);
    };
    await using peer = await publisherTo(broker.url);
    for (let round = 1; round <= rounds; round += 1) {
      await Promise.all(
        channels.map((name, index) => peer.publish(`line/${name}`, JSON.stringify(wave(1000, index + round)))),
      );
      await expect.poll(analysed, { timeout: 60_000 }).toBe(8 * round);
    }
    const { tags } = (await read('/api/v1/tags')) as { tags: { tag: string; value: number; quality: string }[] };
    const rms = tags.filter(({ tag }) => tag.endsWith('.rms'));
    expect(rms.map(({ value, quality }) => [Number(value.toFixed(6)), quality])).toEqual(
      channels.map((_, index) => [Number(((index + rounds) / Math.SQRT2).toFixed(6)), 'good']),
    );
    expect(await read('/api/v1/waveforms')).toMatchObject({ waveforms: channels.map((tag) => ({ tag })) });
    const { spectrum, samples, unit } = (await read(`/api/v1/waveforms/${channels[0]}/spectrum`)) as {
      samples: number;
      unit: string;
      spectrum: { step_hz: number; amplitudes: number[] };
    };
    const line = spectrum.amplitudes.indexOf(Math.max(...spectrum.amplitudes));
    expect([samples, unit, Math.round(line * spectrum.step_hz)]).toEqual([1000, 'm/s²', 50]);
    expect((await fetch(`${agent.httpUrl}/api/v1/waveforms/none/spectrum`)).status).toBe(404);
  });
});
