import { expect, test } from 'vitest';
import { CrashPlant } from '../support/crash-plant.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { UpstreamBroker } from '../support/upstream-broker.ts';
import { UpstreamHttp } from '../support/upstream-http.ts';

/*
 * A daemon whose configuration changes section by section. Invariant: a watch that no change touches gets each verdict in its
 * time, its source scans without a pause, and subscribers see no stop.
 */
const STEP_MS = 500;
const step = `${STEP_MS}ms`;
const watch = (tag: string) => ({ model: 'echo', tags: [tag], window: { step, maxAge: '10s' }, alarm: {} });

test('a change of each section leaves the other parts alone', async () => {
  await using plant = await CrashPlant.start();
  await using neighbour = await CrashPlant.start();
  await using broker = await new UpstreamBroker().listen();
  await using lake = await new UpstreamHttp().listen();
  using folder = new AgentFolder();
  const { sources, models } = plant.sections(step);
  const patient = { ...sources.plc, timeout: '5s' };
  const other = {
    ...patient,
    url: neighbour.plc.url,
    tags: { other: { register: 'holding', address: 0, type: 'uint16' } },
  };
  const uplink = (...records: readonly string[]) => ({ type: 'http', url: lake.url, records });
  const sections: Record<string, unknown> = {
    sources: { plc: patient, other },
    models,
    watches: { level: watch('level'), other: watch('other') },
    derived: { double: { expr: "tag('count') * 2" } },
    limits: { other: { high: 1000 } },
    uplinks: { lake: uplink('verdict') },
    publish: { type: 'mqtt', url: broker.url },
    serving: { listen: '127.0.0.1:0' },
  };
  folder.configure(sections);
  await using agent = await AgentProcess.start(folder.configFile);
  const verdicts = () => broker.on('andon/v1/edge/verdict/level') as readonly Readonly<Record<string, unknown>>[];
  await expect.poll(() => verdicts().length).toBeGreaterThan(2);

  const changes: readonly Readonly<Record<string, unknown>>[] = [
    { sources: { plc: patient, other: { ...other, scanInterval: '600ms' } } },
    { watches: { level: watch('level'), other: { ...watch('other'), alarm: { threshold: 7 } } } },
    { watches: { level: watch('level'), extra: watch('count') } },
    { derived: { double: { expr: "tag('count') * 3" } } },
    { limits: { other: { high: 2000 }, count: { low: 1 } } },
    { uplinks: { lake: uplink('verdict', 'sample'), more: uplink('alarm') } },
    { uplinks: {} },
    { alarms: { diagnostic: { after: '20s' } } },
    { log: { level: 'debug' } },
    { reload: { revertAfter: '20s' } },
    { serving: { listen: '127.0.0.1:0', maxBody: '8MB' } },
    { sparkplug: { url: broker.url, group: 'plant' } },
    { http: { listen: '127.0.0.1:0', requestTimeout: '20s' } },
  ];
  const applied = () => agent.log.filter(({ msg }) => msg === 'The new configuration is in use.');
  for (const [index, change] of changes.entries()) {
    Object.assign(sections, change);
    folder.configure(sections);
    agent.child.kill('SIGHUP');
    await expect.poll(() => applied().length, { message: Object.keys(change).join() }).toBe(index + 1);
    expect(applied().at(-1)).toMatchObject({ restart: [] });
    const judged = verdicts().length;
    await expect.poll(() => verdicts().length).toBeGreaterThan(judged + 1);
  }

  const seen = verdicts().slice(1);
  expect(seen.filter(({ verdict }) => verdict !== 'normal')).toEqual([]);
  const times = seen.map(({ timestamp_ms: timeMs }) => Number(timeMs));
  expect(times.slice(1).filter((timeMs, index) => timeMs - (times[index] ?? 0) !== STEP_MS)).toEqual([]);
  expect(plant.plc.connections).toBe(1);
  expect(broker.on('andon/v1/edge/state')).toMatchObject([{ state: 'online' }]);
  expect(await agent.end('SIGTERM')).toBe(0);
  expect(agent.stderr).toBe('');
});
