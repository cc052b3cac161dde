import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connectAsync } from 'mqtt';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { Mosquitto } from '../support/mosquitto.ts';
import { meanModel } from '../support/onnx-models.ts';
import { TestModelDirectory } from '../support/onnx-directory.ts';
import { describeWith } from '../support/programs.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { UpstreamHttp } from '../support/upstream-http.ts';

/*
 * A recorded pump test, replayed fifty times as fast, as a Modbus device and on mosquitto together, goes through the
 * daemon, a separate process, to an HTTP receiver and to a subscriber of mosquitto.
 *
 * Invariant: the grid of a watch is wall time, so from the first window to the last, each hop has exactly one
 * verdict; at both ends they arrive with unique ids, in order, none missing, none twice.
 */
const root = join(import.meta.dirname, '../..');
const recorded = join(root, '../shared/data/skab/valve1/1.csv');
const SPEED = 50;
const STEP_MS = 1000 / SPEED;

type VerdictMessage = {
  readonly id: string;
  readonly timestamp_ms: number;
  readonly verdict: string;
  readonly score: number | null;
};

describeWith(['mosquitto'], 'a recorded file replayed at speed', () => {
  test('results in exactly one record for each due window, in order, at both ends', async () => {
    await using broker = await Mosquitto.start();
    await using upstream = await new UpstreamHttp().listen();
    using models = new TestModelDirectory([
      {
        name: 'mean',
        bytes: meanModel(20, 16),
        steps: 20,
        tags: 16,
        golden: [{ window: Array.from({ length: 320 }, () => 2), score: 2 }],
      },
    ]);
    using folder = new AgentFolder();
    const replay = await startReplay(existsSync(recorded) ? recorded : generatedCsv(), broker.url);
    const subscriber = await connectAsync(broker.url);
    const received: VerdictMessage[] = [];
    subscriber.on('message', (_topic, payload) => received.push(JSON.parse(payload.toString())));
    await subscriber.subscribeAsync('andon/v1/edge/verdict/+', { qos: 1 });

    const columns = Object.keys(replay.sources['replay']?.tags ?? {})
      .filter((tag) => tag !== 'row')
      .slice(0, 8);
    folder.configure({
      sources: replay.sources,
      models: { directory: models.path },
      watches: {
        valve: {
          model: 'mean',
          tags: [...columns, ...columns.map((name) => `mqtt.${name}`)],
          window: { step: `${STEP_MS}ms`, hop: `${STEP_MS}ms`, maxAge: '2s', lateness: '200ms' },
        },
      },
      publish: { type: 'mqtt', url: broker.url },
      uplinks: { lake: { type: 'http', url: upstream.url, records: ['verdict'] } },
    });
    await using agent = await AgentProcess.start(folder.configFile);
    await replay.ended;
    await expect.poll(() => upstream.stored.length).toBeGreaterThan(500);
    expect(await agent.end('SIGTERM')).toBe(0);
    expect(agent.stderr).toBe('');

    const sent = upstream.stored.filter(({ kind }) => kind === 'verdict') as unknown as VerdictMessage[];
    expectOneVerdictAHop(judged(sent));
    expectOneVerdictAHop(judged(received));
    // The broker receives nothing before the agent is connected to it. Records that were stored during the stop are sent at the next start.
    const lastSent = sequence(sent.at(-1));
    const sentWhileReceived = sent.map(({ id }) => id).slice(sequence(received[0]) - sequence(sent[0]));
    expect(received.filter((verdict) => sequence(verdict) <= lastSent).map(({ id }) => id)).toEqual(sentWhileReceived);
    expect(sequence(received.at(-1)) - lastSent).toBeLessThan(50);
    expect(judged(sent).filter(({ verdict }) => verdict !== 'unknown').length).toBeGreaterThan(500);
    await subscriber.endAsync();
  });
});

/** Without the record that says that the window fills, which belongs to no hop. */
function judged(verdicts: readonly VerdictMessage[]): readonly VerdictMessage[] {
  return verdicts.slice(1);
}

function expectOneVerdictAHop(verdicts: readonly VerdictMessage[]): void {
  const sequences = verdicts.map(sequence);
  expect(new Set(verdicts.map(({ id }) => id)).size).toBe(verdicts.length);
  expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
  const hops = verdicts.map(({ timestamp_ms: timestampMs }) => Math.round(timestampMs / STEP_MS));
  expect(hops).toEqual(hops.map((_, index) => (hops[0] ?? 0) + index));
}

function sequence(verdict: VerdictMessage | undefined): number {
  return Number(verdict?.id.split('/')[2]);
}

type Replay = {
  readonly sources: Readonly<Record<string, { readonly tags: object }>>;
  readonly ended: Promise<unknown>;
};

async function startReplay(csv: string, mqttUrl: string): Promise<Replay> {
  const options = ['simulate', csv, '--modbus', 'tcp://127.0.0.1:0', '--mqtt', mqttUrl, '--speed', String(SPEED)];
  const child = spawn(process.execPath, [join(root, 'bin/andon.js'), ...options], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'exit');
  let section = '';
  for await (const line of createInterface(child.stdout)) {
    section += `${line}\n`;
    // The last line of the section is the last tag over MQTT.
    if ((section.match(/topic:/g) ?? []).length >= 8 && !child.stdout.readableLength) break;
  }
  return { sources: parse(section).sources, ended };
}

/** Eight signals of a pump, for machines that have no recorded file. */
function generatedCsv(): string {
  const path = join(mkdtempSync(join(tmpdir(), 'andon-replay-')), 'pump.csv');
  const rows = Array.from({ length: 1146 }, (_, row) => {
    const time = new Date(Date.UTC(2026, 0, 1) + row * 1000).toISOString();
    return [time, ...Array.from({ length: 8 }, (__, tag) => (Math.sin(row / (7 + tag)) + tag).toFixed(4))].join(';');
  });
  writeFileSync(path, ['datetime;a;b;c;d;e;f;g;h', ...rows].join('\n'));
  return path;
}
