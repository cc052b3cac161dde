import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/plant/seeded-random.ts';
import { CompileCache, CrashPlant } from '../support/crash-plant.ts';
import {
  arrivedTooEarly,
  idsUsedTwice,
  outboxRecords,
  type SeenRecord,
  unexplainedGaps,
} from '../support/crash-receipts.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { UpstreamBroker } from '../support/upstream-broker.ts';
import { UpstreamHttp } from '../support/upstream-http.ts';

/*
 * Uplinks of a running daemon are added, removed, and take other records. Invariant: the machine stays watched, and each uplink
 * receives exactly the records that it is configured for, with the ids of the outbox.
 */
const watches = { level: { model: 'echo', tags: ['level'], window: { step: '200ms', maxAge: '10s' }, alarm: {} } };
const always: readonly string[] = ['loss', 'start'];

const uplinkTo = (receiver: UpstreamHttp, records: readonly string[]) => ({
  type: 'http',
  url: receiver.url,
  records,
  retry: { first: '50ms', max: '200ms' },
});

const idsOf = (records: readonly { readonly id: string }[]): readonly string[] => records.map(({ id }) => id);
const received = (receiver: UpstreamHttp) => receiver.stored as unknown as readonly SeenRecord[];

describe('uplinks that change while the agent scans', () => {
  test('cost no scan and no verdict, and receive exactly their records', async () => {
    await using plant = await CrashPlant.start();
    await using broker = await new UpstreamBroker().listen();
    await using lake = await new UpstreamHttp().listen();
    await using cloud = await new UpstreamHttp().listen();
    using folder = new AgentFolder();
    const sections = { ...plant.sections('200ms'), publish: { type: 'mqtt', url: broker.url }, watches };
    folder.configure({ ...sections, uplinks: { lake: uplinkTo(lake, ['verdict']) } });
    await using agent = await AgentProcess.start(folder.configFile);
    await expect.poll(() => verdictsOn(broker).length).toBeGreaterThan(2);
    const missed = await missedScans(agent);
    let reloads = 0;
    const reload = async (uplinks: object): Promise<void> => {
      folder.configure({ ...sections, uplinks });
      agent.child.kill('SIGHUP');
      reloads += 1;
      const applied = () => agent.log.filter(({ msg }) => msg === 'The new configuration is in use.');
      await expect.poll(() => applied().length).toBe(reloads);
      expect(applied().at(-1)).toMatchObject({ restart: [] });
      const judged = verdictsOn(broker).length;
      await expect.poll(() => verdictsOn(broker).length).toBeGreaterThan(judged + 3);
    };

    const verdicts = uplinkTo(lake, ['verdict']);
    await reload({ lake: verdicts, cloud: uplinkTo(cloud, ['alarm', 'verdict']) });
    const withSamples = uplinkTo(lake, ['verdict', 'sample']);
    await reload({ lake: withSamples, cloud: uplinkTo(cloud, ['alarm', 'verdict']) });
    await reload({ lake: withSamples });
    // While the uplink is gone.
    plant.plc.registers[0] = 5;
    await expect.poll(() => verdictsOn(broker).at(-1)?.['verdict']).toBe('abnormal');
    await reload({ lake: withSamples, cloud: uplinkTo(cloud, ['alarm']) });
    await reload({ lake: verdicts, cloud: uplinkTo(cloud, ['alarm']) });

    expect(await missedScans(agent)).toBe(missed);
    expect(plant.plc.connections).toBe(1);
    const judged = verdictsOn(broker);
    expect(judged.slice(1).filter(({ verdict }) => verdict === 'unknown')).toEqual([]);
    const times = judged.map(({ timestamp_ms: timeMs }) => Number(timeMs));
    expect(times.slice(1).filter((timeMs, index) => timeMs - (times[index] ?? 0) !== 200)).toEqual([]);
    expect(broker.on('andon/v1/edge/state')).toMatchObject([{ state: 'online' }]);
    expect(await agent.end('SIGTERM')).toBe(0);
    expect(agent.stderr).toBe('');

    const records = await outboxRecords(folder);
    const ofKinds = (kinds: readonly string[]) =>
      idsOf(records.filter(({ kind }) => [...kinds, ...always].includes(kind)));
    // The stop is faster than the last delivery.
    const [lakeIds, cloudIds] = [idsOf(received(lake)), idsOf(received(cloud))];
    const toLake = ofKinds(['verdict', 'sample']).filter((id) => lakeIds.includes(id));
    expect(lakeIds).toEqual(toLake);
    const lakeVerdicts = idsOf(received(lake).filter(({ kind }) => kind === 'verdict'));
    expect(lakeVerdicts).toEqual(ofKinds(['verdict']).slice(0, lakeVerdicts.length));
    const samples = idsOf(records.filter(({ kind }) => kind === 'sample'));
    expect(samples.length).toBeGreaterThan(5);
    expect(samples.filter((id) => !lakeIds.includes(id)).length).toBeLessThan(3);
    // It began with the oldest record, and continued at its position: the alarm was raised while it was gone.
    expect(received(cloud).find(({ kind }) => kind === 'verdict')?.id).toBe(ofKinds(['verdict'])[0]);
    expect(received(cloud).filter(({ kind }) => kind === 'alarm')).toMatchObject([{ state: 'unacknowledged' }]);
    expect(new Set(cloudIds).size).toBe(cloudIds.length);
    expect(received(cloud).some(({ kind }) => kind === 'sample')).toBe(false);
    expect(idsUsedTwice(records, received(lake), received(cloud))).toEqual([]);
  });

  test('and are killed around the change: nothing is lost, and no id is used twice', { timeout: 300_000 }, async () => {
    const seed = Number(process.env['ANDON_CRASH_SEED'] ?? Math.floor(Math.random() * 1e9));
    console.log(`ANDON_CRASH_SEED=${seed}`);
    const random = seededRandom(seed);
    await using plant = await CrashPlant.start();
    plant.alternateLevel(300);
    await using lake = await new UpstreamHttp().listen();
    await using cloud = await new UpstreamHttp().listen();
    using cache = new CompileCache();
    using folder = new AgentFolder();
    const fast = { level: { ...watches.level, window: { step: '50ms', maxAge: '5s' } } };
    const sections = { ...plant.sections('50ms'), watches: fast };
    const variants = [
      { lake: uplinkTo(lake, ['verdict']) },
      { lake: uplinkTo(lake, ['verdict', 'alarm']), cloud: uplinkTo(cloud, ['alarm']) },
      { lake: uplinkTo(lake, ['verdict', 'sample']), cloud: uplinkTo(cloud, ['alarm', 'verdict']) },
    ];
    const configure = (index: number) => folder.configure({ ...sections, uplinks: variants[index % variants.length] });
    configure(0);
    for (let kill = 0; kill < 8; kill += 1) {
      await using agent = await AgentProcess.start(folder.configFile, cache.env);
      await wait(random() * 300);
      configure(kill + 1);
      agent.child.kill('SIGHUP');
      // Reading the file takes 0.2 s and more.
      await wait(random() * 1500);
      await agent.end('SIGKILL');
    }
    configure(1);
    await using agent = await AgentProcess.start(folder.configFile, cache.env);
    const startedMs = Date.now();
    const caughtUp = (receiver: UpstreamHttp) =>
      received(receiver).some(({ timestamp_ms: timeMs }) => timeMs > startedMs + 1000);
    await expect.poll(() => caughtUp(lake) && caughtUp(cloud), { timeout: 60_000 }).toBe(true);
    expect(await agent.end('SIGTERM')).toBe(0);

    const records = await outboxRecords(folder);
    expect(idsUsedTwice(records, received(lake), received(cloud))).toEqual([]);
    expect(unexplainedGaps(records)).toEqual([]);
    const before = records.filter(({ timestamp_ms: timeMs }) => timeMs < startedMs);
    // Each took its kind all the time, and others in turn: a record that arrived before its kind was added is repeated.
    for (const [receiver, kind] of [
      [lake, 'verdict'],
      [cloud, 'alarm'],
    ] as const) {
      const sent = idsOf(before.filter((record) => record.kind === kind));
      expect(sent.filter((id) => !receiver.ids.includes(id))).toEqual([]);
      expect(arrivedTooEarly(received(receiver).filter((record) => record.kind === kind))).toEqual([]);
    }
  });
});

function verdictsOn(broker: UpstreamBroker): readonly Readonly<Record<string, unknown>>[] {
  return broker.on('andon/v1/edge/verdict/level') as readonly Readonly<Record<string, unknown>>[];
}

async function missedScans(agent: AgentProcess): Promise<string | undefined> {
  const text = await (await fetch(`${agent.httpUrl}/metrics`)).text();
  return /^andon_modbus_missed_scans_total\{source="plc"\} (\d+)$/m.exec(text)?.[1];
}
