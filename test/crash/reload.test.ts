import { createServer } from 'node:net';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { CrashPlant } from '../support/crash-plant.ts';
import { loadPace } from '../support/load-pace.ts';
import { freePort } from '../support/free-port.ts';
import { ModbusRawServer } from '../support/modbus-raw-server.ts';
import type { TestModel } from '../support/onnx-directory.ts';
import { meanModel } from '../support/onnx-models.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { UpstreamBroker } from '../support/upstream-broker.ts';

/*
 * A reload of a running daemon. Invariant: what the file does not change keeps running, and a change with which a part
 * stops working does not stay.
 */
const STEP_MS = 250 * Math.max(2, loadPace);
const window = { step: `${STEP_MS}ms`, maxAge: `${10 * loadPace}s` };
const level = { model: 'echo', tags: ['level'], window, alarm: {} };
const count = { model: 'mean', tags: ['count'], window };

/** A model of the mean of its rows. */
const mean = (steps: number): TestModel => ({
  name: 'mean',
  bytes: meanModel(steps, 1),
  steps,
  tags: 1,
  golden: [{ window: Array.from({ length: steps }, () => 0.5), score: 0.5 }],
});

const ofWatch =
  (id: string) =>
  ({ type, data }: StreamEvent): boolean =>
    type === 'verdict' && data['watch'] === id;

describe('what a reload does not change', () => {
  test('keeps its scans, verdicts, connections and alarms, while another watch starts again with a full window', async () => {
    await using plant = await CrashPlant.start();
    plant.addModel(mean(6));
    await using broker = await new UpstreamBroker().listen();
    using folder = new AgentFolder();
    const sections = {
      ...plant.sections(`${STEP_MS}ms`),
      publish: { type: 'mqtt', url: broker.url },
    };
    folder.configure({ ...sections, watches: { level, count } });
    plant.plc.registers[0] = 5;
    await using agent = await AgentProcess.start(folder.configFile);
    await using stream = await EventStream.open(agent.httpUrl);
    const isActive = ({ type, data }: StreamEvent) => type === 'alarm' && data['state'] === 'unacknowledged';
    await expect.poll(() => stream.events.some(isActive)).toBe(true);
    await expect
      .poll(() => stream.events.some((event) => ofWatch('count')(event) && event.data['verdict'] === 'abnormal'))
      .toBe(true);
    const missed = await missedScans(agent);

    folder.configure({ ...sections, watches: { level, count: { ...count, alarm: { threshold: 70_000 } } } });
    const before = stream.events.length;
    const last = stream.events.findLastIndex(ofWatch('level'));
    agent.child.kill('SIGHUP');
    const line = await agent.logged(({ msg }) => msg === 'The new configuration is in use.');
    expect(line).toMatchObject({ changed: ['watches.count'], restart: [] });
    await expect.poll(() => stream.events.slice(before).findLast(ofWatch('count'))?.data['verdict']).toBe('normal');
    await expect.poll(() => stream.events.slice(before).filter(ofWatch('level')).length).toBeGreaterThan(4);

    expect(await missedScans(agent)).toBe(missed);
    expect(plant.plc.connections).toBe(1);
    // From the verdict before the reload on.
    const judged = stream.events
      .slice(last)
      .filter(ofWatch('level'))
      .map(({ data }) => data);
    expect(judged.filter(({ verdict }) => verdict !== 'abnormal')).toEqual([]);
    const times = judged.map(({ timestamp_ms: timeMs }) => Number(timeMs));
    expect(times.slice(1).map((timeMs, index) => timeMs - (times[index] ?? 0))).toEqual(
      times.slice(1).map(() => STEP_MS),
    );
    const alarms = stream.events
      .filter(({ type }) => type === 'alarm')
      .map(({ data }) => [data['alarm'], data['state']]);
    expect(alarms).toEqual([
      ['watch/level', 'unacknowledged'],
      ['watch/count', 'normal'],
    ]);
    expect(broker.on('andon/v1/edge/state')).toMatchObject([{ state: 'online' }]);
    expect(stream.isOpen).toBe(true);

    // One verdict states that the window is filled again; the next step is judged.
    const touched = stream.events.slice(before).filter(ofWatch('count'));
    const restart = touched.findIndex(({ data }) => data['verdict'] === 'unknown');
    const first = touched.slice(restart).find(({ data }) => data['verdict'] === 'normal');
    const afterMs = Number(first?.data['timestamp_ms']) - Number(touched[restart]?.data['timestamp_ms']);
    expect(afterMs).toBeLessThanOrEqual(2 * STEP_MS);
    expect(await agent.end('SIGTERM')).toBe(0);
    expect(agent.stderr).toBe('');
  });

  test('delivers no late response to a request from before the reload', async () => {
    await using plant = await CrashPlant.start();
    await using device = await ModbusRawServer.listen(0, 'rtu');
    using folder = new AgentFolder();
    device.registers[4] = 111;
    // As gateways with one line do.
    device.answersLatestConnection = true;
    const near = { register: 'holding', address: 4, type: 'uint16' };
    const sectionsAt = (scanInterval: string) => ({
      sources: {
        plc: plant.sections('200ms').sources.plc,
        line: { type: 'modbus', url: device.url, scanInterval, timeout: '9s', tags: { near } },
      },
      models: { directory: plant.modelDirectory },
    });
    folder.configure(sectionsAt('300ms'));
    await using agent = await AgentProcess.start(folder.configFile);
    await using stream = await EventStream.open(agent.httpUrl);
    const values = () => stream.readings().flatMap(({ tag, value }) => (tag === 'near' ? [value] : []));
    await expect.poll(values).toContain(111);

    // The response to the read in transit arrives on the next connection, while the same read is in transit there.
    const asked = device.requests.length;
    const delaysMs = [3000, 4000];
    device.faults.delayMs = () => delaysMs[device.requests.length - asked - 1] ?? 0;
    await expect.poll(() => device.requests.length).toBe(asked + 1);
    device.registers[4] = 222;
    const before = values().length;
    folder.configure(sectionsAt('310ms'));
    agent.child.kill('SIGHUP');
    await expect.poll(values).toContain(222);

    // The read may fail instead.
    expect(
      values()
        .slice(before)
        .filter((value) => value !== null && value !== 222),
    ).toEqual([]);
    expect(plant.plc.connections).toBe(1);
  });
});

describe('a change with which a part stops working is reverted as a whole', () => {
  const reload = { revertAfter: '1s' };

  test('an address of the HTTP endpoint that is taken', async () => {
    await using plant = await CrashPlant.start();
    using folder = new AgentFolder();
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const listen = `127.0.0.1:${await freePort()}`;
    const sections = { ...plant.sections('200ms'), reload };
    folder.configure({ ...sections, http: { listen }, watches: { level } });
    await using agent = await AgentProcess.start(folder.configFile);

    // The watch is changed too, and goes back with it.
    folder.configure({ ...sections, http: { listen: `127.0.0.1:${port}` }, watches: { level, extra: count } });
    plant.addModel(mean(2));
    agent.child.kill('SIGHUP');

    const line = await agent.logged(({ code }) => code === 'part-failed');
    expect(line).toMatchObject({ level: 50, code: 'part-failed', file: folder.configFile });
    expect(line.msg).toMatch(
      /reverted.*http worked before and does not work now: http-listen-failed.*Fix .*andon.yaml/,
    );
    expect(await component(`http://${listen}`, 'configuration')).toMatchObject({
      status: 'degraded',
      reason: expect.stringContaining('http worked before and does not work now'),
    });
    expect(await watchesOf(`http://${listen}`)).toEqual(['level']);
    expect(await (await fetch(`http://${listen}/metrics`)).text()).toContain('outcome="reverted"} 1');
    expect(plant.plc.connections).toBe(1);

    // A file that is right again is in use.
    folder.configure({ ...sections, http: { listen }, watches: { level } });
    agent.child.kill('SIGHUP');
    await agent.logged(({ msg }) => msg === 'The new configuration is in use.');
    expect(await component(`http://${listen}`, 'configuration')).toBeUndefined();
    taken.close();
  });

  test('the address of a device that does not exist', async () => {
    await using plant = await CrashPlant.start();
    using folder = new AgentFolder();
    const { sources, models } = plant.sections('200ms');
    folder.configure({ sources, models, reload, watches: { level } });
    await using agent = await AgentProcess.start(folder.configFile);
    await expect.poll(() => component(agent.httpUrl, 'source/plc')).toMatchObject({ status: 'ok' });

    const url = `tcp://127.0.0.1:${await freePort()}`;
    folder.configure({ sources: { plc: { ...sources.plc, url } }, models, reload, watches: { level } });
    agent.child.kill('SIGHUP');

    const { msg } = await agent.logged(({ code }) => code === 'part-failed');
    expect(msg).toContain('sources.plc worked before and does not work now');
    const scanned = plant.plc.requests.length;
    await expect.poll(() => plant.plc.requests.length).toBeGreaterThan(scanned);
    await expect.poll(() => verdictOf(agent.httpUrl, 'level')).toBe('normal');
  });

  test('unless a newer file follows, which is applied immediately; two changes are reverted as one', async () => {
    await using plant = await CrashPlant.start();
    using folder = new AgentFolder();
    const { sources, models } = plant.sections('200ms');
    const configure = (url: string, revertAfter: string, id = 'level') =>
      folder.configure({
        sources: { plc: { ...sources.plc, url } },
        models,
        reload: { revertAfter },
        watches: { [id]: level },
      });
    configure(plant.plc.url, '10m');
    await using agent = await AgentProcess.start(folder.configFile);
    await expect.poll(() => component(agent.httpUrl, 'source/plc')).toMatchObject({ status: 'ok' });
    const gone = `tcp://127.0.0.1:${await freePort()}`;
    const logged = (text: string) => agent.log.filter(({ msg }) => msg.startsWith(text)).length;

    // A typo, an invalid file, and the fix.
    configure(gone, '10m');
    agent.child.kill('SIGHUP');
    await expect.poll(() => component(agent.httpUrl, 'source/plc')).toMatchObject({ status: 'degraded' });
    configure(gone, 'soon');
    agent.child.kill('SIGHUP');
    await expect.poll(() => logged('The new configuration is refused')).toBeGreaterThan(0);
    expect(logged('A newer configuration ends the check')).toBe(0);
    configure(plant.plc.url, '10m');
    agent.child.kill('SIGHUP');
    await expect.poll(() => logged('The new configuration is in use.')).toBe(1);
    await expect.poll(() => verdictOf(agent.httpUrl, 'level')).toBe('normal');

    // The same typo twice, with another watch: the configuration to return to is the one that worked.
    configure(gone, '10m');
    agent.child.kill('SIGHUP');
    await expect.poll(() => component(agent.httpUrl, 'source/plc')).toMatchObject({ status: 'degraded' });
    configure(gone, '1s', 'renamed');
    agent.child.kill('SIGHUP');
    const { msg } = await agent.logged(({ code }) => code === 'part-failed');
    expect(msg).toContain('sources.plc worked before and does not work now');
    await expect.poll(() => verdictOf(agent.httpUrl, 'level')).toBe('normal');
    expect(await watchesOf(agent.httpUrl)).toEqual(['level']);
    const counts = await (await fetch(`${agent.httpUrl}/metrics`)).text();
    for (const outcome of ['applied', 'reverted', 'refused']) expect(counts).toContain(`outcome="${outcome}"} 1`);
    expect(counts).toContain('outcome="superseded"} 2');
    expect(await agent.end('SIGTERM')).toBe(0);
  });

  test('a watch whose model cannot be loaded, and a change that needs a restart of all parts', async () => {
    await using plant = await CrashPlant.start();
    using folder = new AgentFolder();
    // Loading a model takes long on a busy machine.
    const sections = { ...plant.sections('200ms'), reload: { revertAfter: '10s' } };
    folder.configure({ ...sections, watches: { level } });
    await using agent = await AgentProcess.start(folder.configFile);
    await expect.poll(() => verdictOf(agent.httpUrl, 'level')).toBe('normal');
    // Its golden vector does not agree, which only loading it shows.
    plant.addModel({ ...mean(1), name: 'broken', golden: [{ window: [0.5], score: 9 }] });

    const broken = { ...level, model: 'broken' };
    folder.configure({ ...sections, watches: { level: broken } });
    agent.child.kill('SIGHUP');
    const reverted = () => agent.log.filter(({ code }) => code === 'part-failed');
    await expect.poll(() => reverted().length).toBe(1);
    expect(reverted()[0]?.msg).toContain('watches.level worked before and does not work now');
    await expect.poll(() => verdictOf(agent.httpUrl, 'level')).toBe('normal');

    folder.configure({ ...sections, agent: { id: 'other' }, watches: { level: broken } });
    agent.child.kill('SIGHUP');
    const restart = await agent.logged(({ msg }) => msg.startsWith('All parts restart'));
    expect(restart).toMatchObject({ restart: ['agent.id'] });
    await expect.poll(() => reverted().length).toBe(2);
    // A free port is another one after a restart.
    const url = () => String(agent.log.findLast(({ msg }) => msg === 'Started.')?.['http']);
    await expect.poll(() => verdictOf(url(), 'level')).toBe('normal');
    expect(agent.log.findLast(({ msg }) => msg === 'Started.')).toMatchObject({ agent: 'edge' });
    expect(await agent.end('SIGTERM')).toBe(0);
  });
});

type StreamEvent = { readonly type: string; readonly data: Readonly<Record<string, unknown>> };
type Reading = { readonly tag: string; readonly value: number | null };

/** Server-sent events of a daemon, as a page receives them. */
class EventStream implements AsyncDisposable {
  readonly events: StreamEvent[] = [];
  isOpen = true;
  readonly #ending = new AbortController();

  static async open(url: string): Promise<EventStream> {
    const stream = new EventStream();
    const response = await fetch(`${url}/api/v1/events`, { signal: stream.#ending.signal });
    void stream.#read(response);
    return stream;
  }

  readings(): readonly Reading[] {
    return this.events.flatMap(({ type, data }) => (type === 'tags' ? (data as unknown as Reading[]) : []));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
  }

  async #read(response: Response): Promise<void> {
    let text = '';
    try {
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const blocks = (text + chunk).split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) this.#take(block);
      }
    } catch {
      // The test or the daemon ended the stream.
    }
    this.isOpen = false;
  }

  #take(block: string): void {
    const type = /^event: (.*)$/m.exec(block)?.[1];
    const data = /^data: (.*)$/m.exec(block)?.[1];
    if (type !== undefined && data !== undefined) this.events.push({ type, data: JSON.parse(data) });
  }
}

async function missedScans(agent: AgentProcess): Promise<string | undefined> {
  const text = await (await fetch(`${agent.httpUrl}/metrics`)).text();
  return /^andon_modbus_missed_scans_total\{source="plc"\} (\d+)$/m.exec(text)?.[1];
}

type Json = { readonly [key: string]: Json } & readonly Json[] & string;

async function json(url: string): Promise<Json> {
  return (await (await fetch(url)).json()) as Json;
}

async function component(url: string, name: string): Promise<Json | undefined> {
  return ((await json(`${url}/healthz`))['components'] as readonly Json[]).find((each) => each['name'] === name);
}

async function watchesOf(url: string): Promise<readonly unknown[]> {
  return ((await json(`${url}/api/v1/watches`))['watches'] as readonly Json[]).map(({ watch }) => watch);
}

async function verdictOf(url: string, id: string): Promise<unknown> {
  const watches = (await json(`${url}/api/v1/watches`))['watches'] as readonly Json[];
  return watches.find(({ watch }) => watch === id)?.['last_verdict']?.['verdict'];
}
