import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from 'vitest';
import { dataTypes, encodeSparkplug } from '../../src/protocols/sparkplug/sparkplug-payload.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { describeWith, pythonWith } from '../support/programs.ts';
import { sparkplugPlant } from '../support/sparkplug-plant.ts';

const peer = join(import.meta.dirname, '../support/sparkplug-peer.py');
const TIME_MS = 1_780_000_000_000;
let opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened.toReversed()) await each[Symbol.asyncDispose]();
  opened = [];
});

function own<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

describeWith(['mosquitto', pythonWith('pysparkplug', 'pysparkplug')], 'pysparkplug', () => {
  test('as an edge node, is read from its birth to its death', async () => {
    const broker = own(await Mosquitto.start());
    const of = (metric: string, device?: string) => ({ group: 'acme', edgeNode: 'line-2', device, metric });
    const { harness, health } = await sparkplugPlant(broker.url, own, {
      tags: {
        position: of('Position'),
        running: of('Running'),
        pressure: of('Pressure', 'pump-1'),
        state: { ...of('State', 'pump-1'), map: { RUN: 1 } },
      },
    });
    const python = spawn('python3', [peer, 'edge', String(broker.port)], { stdio: ['pipe', 'inherit', 'inherit'] });
    await harness.batches.when(([first]) => first?.tag === 'pressure');
    python.stdin.write('\n');
    await harness.batches.when(([first]) => first?.value === 2.5);
    const values = harness.names.map((tag) => harness.last(tag)).map((sample) => [sample?.value, sample?.quality]);
    expect(values).toEqual([
      [-13, 'good'],
      [1, 'good'],
      [2.5, 'good'],
      [1, 'good'],
    ]);
    expect(health()).toMatchObject({ status: 'ok' });
    python.stdin.end();
    await harness.batches.when(([first]) => first?.reason === 'device-offline');
    expect(health()?.reason).toContain('edge node acme/line-2 is dead');
  });

  test('as a host, decodes a birth and the data that omit the datatypes', async () => {
    const python = spawn('python3', [peer, 'decode'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const score = { name: 'pump-1/Score', timestampMs: TIME_MS, dataType: dataTypes.Double, value: 0.9 };
    const metrics = [
      { name: 'bdSeq', timestampMs: TIME_MS, dataType: dataTypes.Int64, value: 7 },
      score,
      { name: 'pump-1/Verdict', timestampMs: TIME_MS, dataType: dataTypes.String, value: 'normal' },
    ];
    const payloads = [
      encodeSparkplug(TIME_MS, 0, metrics),
      encodeSparkplug(TIME_MS, 1, [{ ...score, value: undefined }], 'omitted'),
    ];
    python.stdin.end(payloads.map((payload) => `${Buffer.from(payload).toString('hex')}\n`).join(''));
    const lines: unknown[] = [];
    for await (const line of createInterface({ input: python.stdout })) lines.push(JSON.parse(line));
    expect(lines).toEqual([
      {
        seq: 0,
        metrics: { bdSeq: ['INT64', 7], 'pump-1/Score': ['DOUBLE', 0.9], 'pump-1/Verdict': ['STRING', 'normal'] },
      },
      { seq: 1, metrics: { 'pump-1/Score': ['DOUBLE', null] } },
    ]);
  });
});
