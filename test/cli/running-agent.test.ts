import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { CrashPlant } from '../support/crash-plant.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { UpstreamHttp } from '../support/upstream-http.ts';
import { andon, shell, startAndon } from './run-andon.ts';

const watch = { model: 'echo', tags: ['level'], window: { step: '50ms', maxAge: '5s' }, alarm: {} };

type Component = { readonly name: string; readonly status: string };
type UplinkStats = { readonly uplink: string; readonly waiting: number };

describe('next to a running agent', () => {
  test(
    'status and outbox stats tell how it stands, and after its end export has every record',
    { timeout: 120_000 },
    async () => {
      await using plant = await CrashPlant.start();
      await using lake = await new UpstreamHttp().listen();
      using folder = new AgentFolder();
      const records = ['alarm', 'verdict'];
      const gone = 'http://127.0.0.1:1/gone';
      folder.configure({
        ...plant.sections('50ms'),
        watches: { level: watch },
        notify: { shift: { type: 'webhook', url: gone, escalateAfter: '1h' } },
        uplinks: { lake: { type: 'http', url: lake.url, records }, gone: { type: 'http', url: gone, records } },
      });
      await using agent = await AgentProcess.start(folder.configFile);
      await expect.poll(() => lake.ids.length).toBeGreaterThan(20);
      plant.plc.registers[0] = 5;
      await expect.poll(() => lake.stored.some(({ kind }) => kind === 'alarm')).toBe(true);

      await expectStatus(agent.httpUrl);
      await expectStats(folder.configFile);
      expect(await agent.end('SIGTERM')).toBe(0);
      await expectExport(folder.configFile);
    },
  );

  test('status is 0 if everything is well', async () => {
    await using plant = await CrashPlant.start();
    using folder = new AgentFolder();
    folder.configure({ ...plant.sections('100ms') });
    await using agent = await AgentProcess.start(folder.configFile);
    const statusCode = async () => (await andon('status', '--url', agent.httpUrl)).code;
    await expect.poll(statusCode, { interval: 200 }).toBe(0);
    expect(await agent.end('SIGTERM')).toBe(0);
  });
});

async function expectStatus(url: string): Promise<void> {
  const { code, stdout } = await andon('status', '--url', url, '--json');
  const { components } = JSON.parse(stdout) as { readonly components: readonly Component[] };
  const statusOf = (wanted: string) => components.find(({ name }) => name === wanted)?.status;
  expect([code, statusOf('source/plc'), statusOf('uplink/gone')]).toEqual([1, 'ok', 'degraded']);
  expect((await andon('status', '--url', url)).stdout).toMatch(/uplink\/gone +degraded .*ECONNREFUSED/);
}

async function expectStats(configFile: string): Promise<void> {
  const { code, stdout } = await andon('outbox', 'stats', '-c', configFile, '--json');
  const { uplinks } = JSON.parse(stdout) as { readonly uplinks: readonly UplinkStats[] };
  expect(code).toBe(0);
  expect(uplinks.find(({ uplink }) => uplink === 'gone')?.waiting).toBeGreaterThan(20);
}

async function expectExport(configFile: string): Promise<void> {
  const exported = async (...more: readonly string[]) =>
    jsonLines((await andon('outbox', 'export', '-c', configFile, ...more)).stdout);
  const all = await exported();
  expect(all.map(({ id }) => Number(id.split('/')[2]))).toEqual(all.map((_, index) => index + 1));
  expect(new Set(all.map(({ kind }) => kind))).toEqual(new Set(['alarm', 'verdict']));
  expect(await exported('--kind', 'alarm')).toEqual(all.filter(({ kind }) => kind === 'alarm'));
  expect(await exported('--from', '11')).toEqual(all.slice(10));
  const stats = await andon('outbox', 'stats', '-c', configFile);
  expect(stats.stdout).toMatch(new RegExp(`records +${all.length}\\b`));
  expect(stats.stdout).toMatch(/^ {2}notifications shift has (read all alarms|not read \d+ records)/m);
  expect(stats.stdout).not.toContain('notify/shift');
  const { code, stdout, stderr } = await shell(`andon outbox export -c ${configFile} | head -1`);
  expect({ code, stderr, lines: jsonLines(stdout) }).toEqual({ code: 0, stderr: '', lines: all.slice(0, 1) });
}

describe('simulate', () => {
  test('prints a section that an agent can be given, and ends cleanly on Ctrl-C', async () => {
    using folder = new AgentFolder();
    const csv = join(folder.path, 'pump.csv');
    const rows = Array.from({ length: 50 }, (_, row) => `2026-01-01T00:00:${String(row).padStart(2, '0')}Z;7.5;42`);
    writeFileSync(csv, ['time;pressure;current', ...rows].join('\n'));
    const child = startAndon('simulate', csv, '--modbus', 'tcp://127.0.0.1:0', '--loop');
    let section = '';
    child.stdout.on('data', (data: Buffer) => (section += data.toString()));
    await expect.poll(() => section).toMatch(/current.*\n$/s);
    const head = stringify({ agent: { id: 'edge' }, http: { listen: '127.0.0.1:0' } });
    writeFileSync(folder.configFile, `${head}${section}`);

    const checked = await andon('check', folder.configFile);
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringMatching(/config ok: 1 source/) });
    const closed = once(child, 'close');
    child.kill('SIGINT');
    const [code] = await closed;
    expect(code).toBe(0);
  });
});

function jsonLines(stdout: string): readonly { readonly id: string; readonly kind: string }[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}
