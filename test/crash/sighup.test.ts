import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CrashPlant } from '../support/crash-plant.ts';
import { AgentFolder, AgentProcess, type LogLine } from '../support/start-agent.ts';
import { UpstreamBroker } from '../support/upstream-broker.ts';

/*
 * What an operator does to a daemon with signals. Invariant: a configuration that cannot be used changes nothing but
 * the log; one that can is in use without a restart of the process; and a stop is a clean one, with a code that tells
 * systemd what it was.
 */
const watch = { model: 'echo', tags: ['level'], window: { step: '100ms', maxAge: '5s' } };

describe('SIGHUP', () => {
  test('with a broken configuration changes nothing, and the log names the line', async () => {
    await using plant = await CrashPlant.start();
    using folder = new AgentFolder();
    folder.configure({ ...plant.sections('100ms'), watches: { level: watch } });
    await using agent = await AgentProcess.start(folder.configFile);
    const text = readFileSync(folder.configFile, 'utf8');
    const lines = text.replace('scanInterval: 100ms', 'scanIntervall: 100ms').replace('model: echo', 'modell: echo');
    writeFileSync(folder.configFile, lines);
    const lineOf = (key: string) => lines.split('\n').findIndex((line) => line.includes(`${key}:`)) + 1;

    agent.child.kill('SIGHUP');

    const refused = (key: string) => (line: LogLine) => line.msg.includes('refused') && line.msg.includes(key);
    expect(await agent.logged(refused('scanIntervall'))).toMatchObject({ line: lineOf('scanIntervall'), level: 50 });
    expect(await agent.logged(refused('modell'))).toMatchObject({ line: lineOf('modell'), file: folder.configFile });
    expect(await metricsOf(agent)).toContain('andon_config_reloads_total{outcome="refused"} 1');
    const scanned = plant.plc.requests.length;
    await expect.poll(() => plant.plc.requests.length).toBeGreaterThan(scanned);
    expect(plant.plc.connections).toBe(1);
    expect(await watchesOf(agent)).toEqual(['level']);
    expect(await agent.end('SIGTERM')).toBe(0);
  });

  test('with a good configuration brings the new tag and the new watch into use', async () => {
    await using plant = await CrashPlant.start();
    using folder = new AgentFolder();
    folder.configure({ ...plant.sections('100ms'), watches: { level: watch } });
    await using agent = await AgentProcess.start(folder.configFile);
    const sections = plant.sections('100ms');
    const extra = { register: 'holding', address: 900, type: 'uint16' };
    const plc = { ...sections.sources.plc, tags: { ...sections.sources.plc.tags, extra } };
    const watches = { level: watch, extra: { ...watch, tags: ['extra'] } };
    folder.configure({ ...sections, sources: { plc }, watches });
    const { pid } = agent.child;

    agent.child.kill('SIGHUP');

    await agent.logged(({ msg }) => msg === 'The new configuration is in use.');
    expect(agent.child.pid).toBe(pid);
    await expect.poll(() => plant.plc.requests.some(({ address }) => address === 900)).toBe(true);
    // The port was free for any: it is another one after a reload.
    const url = agent.log.findLast(({ msg }) => msg === 'Started.')?.['http'];
    await expect.poll(() => verdictOf(String(url), 'extra')).toBe('normal');
    expect(await agent.end('SIGTERM')).toBe(0);
    expect(agent.stderr).toBe('');
  });

  test('with a configuration that cannot be started leaves the old one in use', async () => {
    await using plant = await CrashPlant.start();
    using folder = new AgentFolder();
    folder.configure({ ...plant.sections('100ms'), watches: { level: watch } });
    await using agent = await AgentProcess.start(folder.configFile);
    // Only the attempt shows that no folder can be made there: its parent is a file.
    folder.configure({ ...plant.sections('100ms'), outbox: { path: 'andon.yaml/outbox.db' } });

    agent.child.kill('SIGHUP');

    const said = await agent.logged(({ msg }) => msg.includes('the old one stays'));
    expect(said).toMatchObject({ level: 50, code: 'outbox-path-unusable' });
    const scanned = plant.plc.requests.length;
    await expect.poll(() => plant.plc.requests.length).toBeGreaterThan(scanned);
    expect(await agent.end('SIGTERM')).toBe(0);
  });
});

describe('the end', () => {
  test('on SIGTERM comes with code 0, and subscribers keep the state offline', async () => {
    await using plant = await CrashPlant.start();
    await using broker = await new UpstreamBroker().listen();
    using folder = new AgentFolder();
    folder.configure({
      ...plant.sections('100ms'),
      watches: { level: watch },
      publish: { type: 'mqtt', url: broker.url },
    });
    await using agent = await AgentProcess.start(folder.configFile);
    await broker.published.when(({ topic, payload }) => topic.endsWith('/state') && payload.includes('"online"'));

    const startedMs = performance.now();
    expect(await agent.end('SIGTERM')).toBe(0);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(JSON.parse(broker.retained.get('andon/v1/edge/state') ?? '{}')).toMatchObject({ state: 'offline' });
    expect(agent.log.at(-1)?.msg).toBe('Stopped.');
  });

  test('of a killed daemon is published by its will', async () => {
    await using plant = await CrashPlant.start();
    await using broker = await new UpstreamBroker().listen();
    using folder = new AgentFolder();
    folder.configure({ ...plant.sections('100ms'), publish: { type: 'mqtt', url: broker.url } });
    await using agent = await AgentProcess.start(folder.configFile);
    await broker.published.when(({ topic, payload }) => topic.endsWith('/state') && payload.includes('"online"'));
    await agent.end('SIGKILL');
    await expect
      .poll(() => JSON.parse(broker.retained.get('andon/v1/edge/state') ?? '{}'))
      .toMatchObject({ state: 'offline' });
  });

  test('of a start with a wrong configuration comes with code 78 and every problem', async () => {
    using folder = new AgentFolder();
    folder.configure({ sources: { plc: { type: 'modbus', url: 'tcp//nowhere', tags: {} } }, watchess: {} });
    const agent = AgentProcess.spawn(folder.configFile);
    expect(await agent.ended()).toBe(78);
    for (const problem of ['sources.plc.url', 'sources.plc.tags', 'watchess']) expect(agent.stderr).toContain(problem);
    expect(agent.stderr).toMatch(new RegExp(`^${folder.configFile}:\\d+:\\d+: `, 'm'));
    expect(agent.log).toEqual([]);
  });

  test('of a start without its configuration file names the file, with code 78', async () => {
    const agent = AgentProcess.spawn('/nowhere/andon.yaml');
    expect(await agent.ended()).toBe(78);
    expect(agent.stderr).toContain('/nowhere/andon.yaml');
  });
});

async function metricsOf(agent: AgentProcess): Promise<string> {
  return (await fetch(`${agent.httpUrl}/metrics`)).text();
}

type WatchJson = { readonly watch: string; readonly last_verdict?: { readonly verdict: string } };

async function watchList(url: string): Promise<readonly WatchJson[]> {
  const answer = (await (await fetch(`${url}/api/v1/watches`)).json()) as { readonly watches: readonly WatchJson[] };
  return answer.watches;
}

async function watchesOf(agent: AgentProcess): Promise<readonly string[]> {
  return (await watchList(agent.httpUrl)).map(({ watch: id }) => id);
}

async function verdictOf(url: string, id: string): Promise<string | undefined> {
  return (await watchList(url)).find(({ watch: one }) => one === id)?.last_verdict?.verdict;
}
