import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { machineRows } from '../training/machine.ts';
import { andon, startAndon } from './run-andon.ts';

const tags = ['load', 'flow', 'temperature'];

test('a watch without a model learns one from the plant, and judges with it once it is activated', async () => {
  using folder = new AgentFolder();
  const csv = join(folder.path, 'plant.csv');
  writeFileSync(csv, csvText());
  const url = `tcp://127.0.0.1:${await freePort()}`;
  startAndon('simulate', csv, '--modbus', url, '--loop');
  folder.configure({
    sources: {
      plc: {
        type: 'modbus',
        url,
        scanInterval: '50ms',
        tags: Object.fromEntries(
          tags.map((tag, index) => [tag, { register: 'holding', address: 2 * index, type: 'float32' }]),
        ),
      },
    },
    models: { directory: 'models' },
    watches: {
      'pump-1': {
        tags,
        window: { step: '50ms', hop: '500ms' },
        learn: { for: '15s' },
        alarm: {},
      },
    },
  });
  expect((await andon('check', folder.configFile)).code).toBe(0);
  await using agent = await AgentProcess.start(folder.configFile);
  const watch = async () => {
    const response = await fetch(`${agent.httpUrl}/api/v1/watches`);
    const { watches } = (await response.json()) as { readonly watches: readonly WatchJson[] };
    return watches[0];
  };
  await expect.poll(async () => (await watch())?.learning?.phase).toBe('collecting');
  expect((await watch())?.last_verdict).toMatchObject({ verdict: 'unknown', reason: 'learning' });
  expect((await andon('status', '--url', agent.httpUrl)).code).toBe(0);
  await expect.poll(async () => (await watch())?.learning?.phase).toBe('proposed');
  expect((await andon('models', 'activate', 'pump-1@1', '-c', folder.configFile)).code).toBe(0);
  await expect.poll(async () => (await watch())?.last_verdict.verdict).toMatch(/^(?:normal|abnormal)$/);
  expect(await agent.end('SIGTERM')).toBe(0);
});

type WatchJson = {
  readonly last_verdict: { readonly verdict: string };
  readonly learning: { readonly phase: string } | null;
};

function csvText(): string {
  const { values, count } = machineRows(3000, 1);
  const rows = Array.from({ length: count }, (_, row) => {
    const time = new Date(Date.UTC(2026, 0, 1) + row * 50).toISOString();
    return [time, ...values.subarray(row * tags.length, (row + 1) * tags.length)].join(';');
  });
  return ['time;load;flow;temperature', ...rows].join('\n');
}
