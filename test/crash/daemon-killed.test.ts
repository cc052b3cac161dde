import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { childPids, living } from '../support/crash-children.ts';
import { CompileCache, CrashPlant } from '../support/crash-plant.ts';
import {
  arrivedTooEarly,
  idsUsedTwice,
  outboxRecords,
  placeOf,
  type SeenRecord,
  statsOf,
  unexplainedGaps,
} from '../support/crash-receipts.ts';
import { seededRandom } from '../../src/plant/seeded-random.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { UpstreamBroker } from '../support/upstream-broker.ts';
import { UpstreamHttp } from '../support/upstream-http.ts';

/*
 * The daemon, a separate process, is killed with SIGKILL 24 times, or ANDON_CRASH_KILLS times: 50–600 ms after it logged
 * 'Started.'; every fourth time during its start instead, and every fourth time only after it published an alarm. It scans a PLC
 * every 20 ms, judges a window every 20 ms, raises and clears an alarm with the level, publishes verdicts on MQTT and
 * sends all records by MQTT and HTTP.
 *
 * Invariant. A record is given out once a peer has received its id: a subscriber of the verdicts, the broker of one
 * uplink or the receiver of the other. A record is published after its commit, and a killed process loses nothing
 * that the kernel has. So
 *   - every record that was ever given out is in the outbox, byte for byte;
 *   - no id stands for two records;
 *   - every gap in the sequence of an epoch has a loss record; and because a kill is not a power cut, there is no loss;
 *   - once the agent had time to drain, each uplink has every record of the outbox at least once, and their first
 *     arrivals are in order;
 *   - an alarm's transitions are numbered without gap or repeat across all lives.
 * A seed gives the waits; it is printed, and ANDON_CRASH_SEED replays it.
 */
const KILLS = Number(process.env['ANDON_CRASH_KILLS'] ?? 24);
/** A start takes 0.4 s on two idle cores, and ten times as long on busy ones. */
const LIMIT_MS = 9_000 * Math.max(KILLS, 50);
const seed = Number(process.env['ANDON_CRASH_SEED'] ?? Math.floor(Math.random() * 1e9));

describe('the daemon is killed', () => {
  test('and the checks below find what they look for', () => {
    const record = (sequence: number, more: object = {}) =>
      ({ id: `edge/e1/${sequence}`, kind: 'verdict', timestamp_ms: 0, ...more }) as SeenRecord;
    expect(idsUsedTwice([record(1, { score: 1 })], [record(1, { score: 2 })])).toEqual(['edge/e1/1']);
    expect(unexplainedGaps([record(1), record(4)])).toEqual(['e1/2', 'e1/3']);
    const loss = record(4, { kind: 'loss', epoch: 'e1', from: 2, to: 3 });
    expect(unexplainedGaps([record(1), loss])).toEqual([]);
    expect(arrivedTooEarly([record(1), record(3), record(1), record(2)])).toEqual(['edge/e1/2']);
  });

  test(
    `${KILLS} times: nothing acknowledged is lost, no id is used twice, there is no gap`,
    { timeout: LIMIT_MS },
    async () => {
      console.log(`ANDON_CRASH_SEED=${seed}`);
      const random = seededRandom(seed);
      await using plant = await CrashPlant.start();
      await using broker = await new UpstreamBroker().listen();
      await using lake = await new UpstreamHttp().listen();
      using folder = new AgentFolder();
      using cache = new CompileCache();
      folder.configure(configuration(plant, broker, lake));
      await warmUp(folder, cache);

      plant.alternateLevel(110);
      const children: number[] = [];
      for (let kill = 0; kill < KILLS; kill += 1) {
        await using agent = AgentProcess.spawn(folder.configFile, cache.env);
        if (kill % 4 !== 1) await agent.started;
        if (kill % 4 === 3) await judgedAndAlarmed(broker);
        await wait(50 + random() * 550);
        children.push(...childPids(agent.child.pid ?? 0));
        expect(await agent.end('SIGKILL')).toBe('SIGKILL');
      }
      await drain(folder, cache, plant, broker, lake);

      const stored = await outboxRecords(folder);
      const atBroker = broker.on('andon/v1/edge/records').flat() as SeenRecord[];
      const atLake = lake.stored as unknown as SeenRecord[];
      expect(idsUsedTwice(stored, atBroker, atLake)).toEqual([]);
      expect(unexplainedGaps(stored)).toEqual([]);
      expect(stored.filter(({ kind }) => kind === 'loss')).toEqual([]);
      for (const arrived of [atBroker, atLake]) {
        expect(arrivedTooEarly(arrived)).toEqual([]);
        expect(idsOf(arrived)).toEqual(idsOf(stored));
      }
      expectPublishedAfterCommit(broker, stored, 'verdict', ['timestamp_ms', 'verdict', 'score']);
      expectPublishedAfterCommit(broker, stored, 'alarm', ['timestamp_ms', 'state', 'number']);
      expectAlarmsNumbered(stored);
      await expect.poll(() => living(children)).toEqual([]);
      console.log(`${stored.length} records; ${atBroker.length} and ${atLake.length} arrived, repeats included`);
    },
  );

  test('an acknowledged alarm is still acknowledged, and a shelved one shelved until the same time', async () => {
    await using plant = await CrashPlant.start();
    using folder = new AgentFolder();
    const watch = { model: 'echo', tags: ['level'], window: { step: '50ms', maxAge: '5s' }, alarm: {} };
    folder.configure({
      ...plant.sections('50ms'),
      watches: { seen: watch, shelved: watch },
      http: { listen: '127.0.0.1:0', anonymous: 'operator' },
    });
    plant.plc.registers[0] = 5;
    {
      await using agent = await AgentProcess.start(folder.configFile);
      await expect
        .poll(() => alarms(agent))
        .toMatchObject({
          seen: { state: 'unacknowledged' },
          shelved: { state: 'unacknowledged' },
        });
      await act(agent, 'seen/acknowledge', { by: 'ann' });
      await act(agent, 'shelved/shelve', { by: 'bob', duration: '1h' });
      // What was answered is committed: nothing is waited for.
      const before = await alarms(agent);
      await agent.end('SIGKILL');

      await using next = await AgentProcess.start(folder.configFile);
      const after = await alarms(next);
      expect(after).toEqual(before);
      expect(after).toMatchObject({
        seen: { state: 'acknowledged', by: 'ann' },
        shelved: { state: 'shelved', by: 'bob' },
      });
      expect(after['shelved']?.shelved_until_ms).toBeGreaterThan(Date.now());

      plant.plc.registers[0] = 0;
      await expect.poll(() => alarms(next)).toMatchObject({ seen: { state: 'normal' } });
      expect(await next.end('SIGTERM')).toBe(0);
    }
    const seen = (await outboxRecords(folder)).filter(({ kind, watch: of }) => kind === 'alarm' && of === 'seen');
    const first = Number(seen[0]?.number);
    expect(seen.map(({ state, number }) => [state, Number(number) - first])).toEqual([
      ['unacknowledged', 0],
      ['acknowledged', 1],
      ['normal', 2],
    ]);
  });
});

type Alarm = {
  readonly watch: string;
  readonly state: string;
  readonly by: string | null;
  readonly number: number;
  readonly shelved_until_ms: number | null;
};

/** Alarms by watch, as an operator's screen gets them. */
async function alarms(agent: AgentProcess): Promise<Readonly<Record<string, Alarm>>> {
  const answer = await fetch(`${agent.httpUrl}/api/v1/alarms`);
  const { alarms: list } = (await answer.json()) as { readonly alarms: readonly Alarm[] };
  return Object.fromEntries(list.map((alarm) => [alarm.watch, alarm]));
}

async function act(agent: AgentProcess, path: string, body: object): Promise<void> {
  const answer = await fetch(`${agent.httpUrl}/api/v1/alarms/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(answer.status).toBe(200);
}

function idsOf(records: readonly SeenRecord[]): readonly string[] {
  return [...new Set(records.map(({ id }) => id))].toSorted((a, b) => placeOf(a).sequence - placeOf(b).sequence);
}

function configuration(plant: CrashPlant, broker: UpstreamBroker, lake: UpstreamHttp) {
  return {
    ...plant.sections('20ms'),
    watches: {
      level: {
        model: 'echo',
        tags: ['level'],
        window: { step: '20ms', hop: '20ms', maxAge: '5s' },
        alarm: { onDelay: '0s', offDelay: '0s', priority: 'high' },
      },
    },
    publish: { type: 'mqtt', url: broker.url },
    uplinks: uplinks(broker, lake),
  };
}

function uplinks(broker: UpstreamBroker, lake: UpstreamHttp) {
  const all = ['alarm', 'verdict', 'sample', 'loss'];
  return {
    // Small batches are many acknowledgements, and many chances to be killed between two of them.
    cloud: { type: 'mqtt', url: broker.url, records: all, batch: { recordsMax: 10 } },
    lake: { type: 'http', url: lake.url, records: all, batch: { recordsMax: 10, linger: '10ms' } },
  };
}

/** One life with a clean end, which leaves the compiled code behind for the lives to come. */
async function warmUp(folder: AgentFolder, cache: CompileCache): Promise<void> {
  await using agent = await AgentProcess.start(folder.configFile, cache.env);
  await agent.logged(({ msg }) => msg === 'Inference host started.');
  expect(await agent.end('SIGTERM')).toBe(0);
}

/** Resolves when a verdict of a window that the model judged and a transition of the alarm are published, from now on. */
async function judgedAndAlarmed({ published }: UpstreamBroker): Promise<void> {
  const from = published.items.length;
  const judged = /"verdict":"(normal|abnormal)"/;
  await published.when(({ payload }) => judged.test(payload), from);
  // An alarm that has not changed since the start is published without an id.
  await published.when(({ topic, payload }) => topic === 'andon/v1/edge/alarm/level' && /"id":/.test(payload), from);
}

/** A last life that makes next to nothing new, until both uplinks have it all. */
async function drain(
  folder: AgentFolder,
  cache: CompileCache,
  plant: CrashPlant,
  broker: UpstreamBroker,
  lake: UpstreamHttp,
): Promise<void> {
  const { sources, models } = plant.sections('1h');
  folder.configure({ sources, models, uplinks: uplinks(broker, lake) });
  await using agent = await AgentProcess.start(folder.configFile, cache.env);
  const waiting = async () => (await statsOf(folder, ['cloud', 'lake'])).uplinks.map((uplink) => uplink.waiting);
  await expect.poll(waiting, { interval: 200 }).toEqual([0, 0]);
  expect(await agent.end('SIGTERM')).toBe(0);
  expect(agent.stderr).toBe('');
}

/** Every message that subscribers of the plant's broker received is in the outbox, with the same values of these fields. */
function expectPublishedAfterCommit(
  broker: UpstreamBroker,
  stored: readonly SeenRecord[],
  kind: 'verdict' | 'alarm',
  fields: readonly string[],
): void {
  const byId = new Map(stored.map((record) => [record.id, record]));
  const published = broker.on(`andon/v1/edge/${kind}/level`) as SeenRecord[];
  // An alarm that has not changed since the start is published without an id.
  const withId = published.filter(({ id }) => id !== undefined);
  expect(withId.length).toBeGreaterThanOrEqual(KILLS / 4);
  const pick = (record: SeenRecord | undefined) => [record?.kind ?? kind, ...fields.map((field) => record?.[field])];
  for (const message of withId) expect(pick(byId.get(message.id))).toEqual(pick(message));
}

function expectAlarmsNumbered(stored: readonly SeenRecord[]): void {
  const numbers = stored.filter(({ kind }) => kind === 'alarm').map(({ number }) => number);
  expect(numbers.length).toBeGreaterThanOrEqual(KILLS / 4);
  // The first is the time of the first life, so that alarms whose stored state is lost never count from below it.
  const first = Number(numbers[0]);
  expect(numbers).toEqual(numbers.map((_, index) => first + index));
}
