import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { machineRows } from '../training/machine.ts';
import { type Outcome, shell, startAndon } from './run-andon.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../docs/getting-started.md'), 'utf8');

/** Code blocks of the page, in their order. */
function blocks(language: string): readonly string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, text = '']) => text);
}

test('the page for newcomers leads from a list of registers to a watch that judges', { timeout: 240_000 }, async () => {
  using folder = new AgentFolder();
  const port = await freePort();
  const device = `tcp://127.0.0.1:${port}`;
  const [registers = ''] = blocks('csv');
  const [setUp = '', run = '', status = '', activate = ''] = blocks('sh');
  writeFileSync(join(folder.path, 'press.csv'), registers);
  writeFileSync(join(folder.path, 'plant.csv'), plantCsv());
  startAndon('simulate', join(folder.path, 'plant.csv'), '--modbus', device, '--loop');
  const follow = (commands: string): Promise<Outcome> =>
    shell(`cd ${folder.path} && ${commands.trim().replaceAll('\n', ' && ').replace('tcp://10.0.0.7:502', device)}`);

  const isUp = () => shell(`(exec 3<>/dev/tcp/127.0.0.1/${port}) 2>&1`);
  await expect.poll(async () => (await isUp()).code).toBe(0);
  const written = await follow(setUp);
  expect(written).toMatchObject({ code: 0 });
  for (const tag of ['press-1.load', 'press-1.flow', 'press-1.temperature']) expect(written.stdout).toContain(tag);

  // A day of learning, and the port of another agent, are not for a test.
  const configFile = join(folder.path, 'andon.yaml');
  const shortened = readFileSync(configFile, 'utf8')
    .replace('for: 24h', 'for: 30s')
    .replace('scanInterval: 1s', 'scanInterval: 50ms')
    .replace('step: 1s, hop: 1s', 'step: 50ms, hop: 500ms')
    .replace('listen: 127.0.0.1:8080', `listen: 127.0.0.1:${await freePort()}`);
  writeFileSync(configFile, shortened);
  expect(run.trim()).toBe('andon run -c andon.yaml');
  await using agent = await AgentProcess.start(configFile);

  const statusText = async () => (await follow(`${status.trim()} --url ${agent.httpUrl}`)).stdout;
  await expect.poll(statusText, { interval: 500 }).toMatch(/learning\/press-1 +ok .*collecting: /);
  await expect.poll(statusText, { timeout: 120_000, interval: 1000 }).toMatch(/learning\/press-1 +ok .*proposed: /);
  expect(await follow(activate)).toMatchObject({ code: 0 });
  await expect
    .poll(
      async () => {
        const response = await fetch(`${agent.httpUrl}/api/v1/watches`);
        const { watches } = (await response.json()) as { watches: { last_verdict: { verdict: string } }[] };
        return watches[0]?.last_verdict.verdict;
      },
      { timeout: 60_000 },
    )
    .toMatch(/^(?:normal|abnormal)$/);
});

/** A machine whose registers are those of the page. */
function plantCsv(): string {
  const { values, count } = machineRows(3000, 1);
  const rows = Array.from({ length: count }, (_, row) => {
    const time = new Date(Date.UTC(2026, 0, 1) + row * 50).toISOString();
    return [time, ...values.subarray(row * 3, (row + 1) * 3)].join(';');
  });
  return ['time;press-1.load;press-1.flow;press-1.temperature', ...rows].join('\n');
}
