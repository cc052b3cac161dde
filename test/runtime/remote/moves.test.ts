import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { HostProcess } from '../../../src/runtime/host/host-process.ts';
import { inferenceHostPids } from '../../support/crash-children.ts';
import { endedMore, RunLoad, WatchLoad } from '../../support/inference-load.ts';
import { OipFaultServer } from '../../support/oip-fault-server.ts';
import type { TestModel } from '../../support/onnx-directory.ts';
import { HostHarness, meanOf4x2, model, until, windowOf } from '../../support/onnx-host-harness.ts';
import { heavyModel, loopModel } from '../../support/onnx-models.ts';

/*
 * Invariant: moving a model between this box and a server follows the rules of any change of version. No run is lost, an
 * unproved version replaces none, and the active version takes over for any events of the hosts meanwhile.
 */
afterEach(() => {
  vi.restoreAllMocks();
});

const golden = [{ window: [3], score: 3 }];
const loop: TestModel = { name: 'loop', bytes: loopModel(), steps: 1, tags: 1, golden };
const one = (value: number) => windowOf(value, [1, 1, 1]);
/** Under the name of the server's model; each load takes as long as its golden run. */
const counting = (count: number): TestModel => ({
  ...loop,
  name: 'mean',
  golden: [{ window: [count], score: count }],
});
/** Iterations of some hundred milliseconds. */
const SLOW = 1e6;

function addRemote(harness: HostHarness, server: OipFaultServer, version: number, of: TestModel = meanOf4x2): void {
  harness.directory.addRemote({ ...of, version }, { url: server.url, model: 'mean' });
}

function activate(harness: HostHarness, name: string, version: number): void {
  writeFileSync(join(harness.directory.path, name, 'active'), `${version}\n`);
  harness.host.reload();
}

async function runs(harness: HostHarness, name: string, version: number, provider: string): Promise<void> {
  const judgedBy = () => harness.host.ready(model(name))?.judgedBy;
  await until(
    () =>
      judgedBy()?.version === version && judgedBy()?.provider === provider && harness.status(name)?.state === 'ready',
    () => JSON.stringify([harness.status(name), harness.health(`model/${name}`)]),
  );
}

/** A run, as its version and its score. */
async function judged(harness: HostHarness, name: string, inputs = windowOf(5)): Promise<readonly unknown[]> {
  const { judgedBy, outputs } = await harness.host.run(model(name), inputs);
  return [judgedBy.version, outputs['score']?.data[0]];
}

async function degraded(harness: HostHarness, name: string): Promise<string> {
  await until(
    () => harness.health(`model/${name}`)?.status === 'degraded',
    () => JSON.stringify(harness.health(`model/${name}`)),
  );
  return harness.health(`model/${name}`)?.reason ?? '';
}

async function crash(harness: HostHarness): Promise<void> {
  const pid = harness.host.hostPid() ?? 0;
  process.kill(pid, 'SIGKILL');
  await until(
    () => harness.host.hostPid() !== pid,
    () => 'the crash is seen',
  );
}

async function freshHost(live: number): Promise<void> {
  await until(
    () => inferenceHostPids(process.pid).some((pid) => pid !== live),
    () => 'a fresh host',
  );
}

describe('a version that moves', () => {
  test('to a server and back, again and again, fails no run and loses no window', async () => {
    await using server = await OipFaultServer.start();
    await using harness = new HostHarness([meanOf4x2, loop]);
    await Promise.all([harness.ready('mean'), harness.ready('loop')]);
    addRemote(harness, server, 2);
    const loads = [
      new RunLoad(harness.host, { model: model('mean'), dims: [1, 4, 2] }, { open: 2, pauseMs: 10 }),
      new RunLoad(harness.host, { model: model('loop'), dims: [1, 1, 1] }, { open: 2, pauseMs: 10 }),
    ];
    const watch = new WatchLoad(
      harness.host,
      { model: model('mean'), dims: [1, 4, 2] },
      { ms: 20, after: 'judgement' },
    );
    for (let change = 0; change < 3; change += 1) {
      activate(harness, 'mean', 2);
      await runs(harness, 'mean', 2, 'remote');
      await endedMore([...loads, watch], 10);
      activate(harness, 'mean', 1);
      await runs(harness, 'mean', 1, 'cpu');
      await endedMore([...loads, watch], 10);
    }
    activate(harness, 'mean', 2);
    await runs(harness, 'mean', 2, 'remote');
    await endedMore([...loads, watch], 10);
    const scores = await Promise.all(loads.map((load) => load.stop()));
    await watch.stop();

    for (const each of scores) expect(each).toEqual(each.map((_, index) => index + 1));
    const numbers = Array.from({ length: watch.due }, (_, index) => index + 1);
    expect(watch.decided).toEqual(numbers.map((number) => ({ number, score: number })));
    expect(harness.health('model/mean')).toMatchObject({ status: 'ok', reason: '' });
  });

  test('to a server leaves no session in the host', async () => {
    const calls = vi.spyOn(HostProcess.prototype, 'call');
    await using server = await OipFaultServer.start();
    await using harness = new HostHarness([meanOf4x2, loop]);
    await Promise.all([harness.ready('mean'), harness.ready('loop')]);
    addRemote(harness, server, 2);
    harness.host.reload();
    await runs(harness, 'mean', 2, 'remote');
    expect(await judged(harness, 'loop', one(7))).toEqual([1, 7]);
    const host = calls.mock.contexts.at(-1) as HostProcess;
    const run = host.call('run', { key: 'mean', inputs: windowOf(1), finite: true }, 5_000);
    await expect(run).rejects.toThrow("No session 'mean' in the host");
  });

  test('to a server takes the waiting runs with it', async () => {
    await using server = await OipFaultServer.start();
    await using harness = new HostHarness([meanOf4x2, loop]);
    await Promise.all([harness.ready('mean'), harness.ready('loop')]);
    let ended = false;
    const underWay = harness.host.run(model('loop'), one(SLOW)).finally(() => (ended = true));
    await harness.runBegun();
    const waiting = judged(harness, 'mean');
    addRemote(harness, server, 2);
    harness.host.reload();
    expect(await waiting).toEqual([2, 5]);
    expect(ended, 'the run in the host continues').toBe(false);
    await underWay;
  });

  test('to a server has waiting windows judged by the version with their length', async () => {
    await using server = await OipFaultServer.start();
    server.window = [-1, 2, 2];
    await using harness = new HostHarness([meanOf4x2, loop]);
    await Promise.all([harness.ready('mean'), harness.ready('loop')]);
    const underWay = harness.host.run(model('loop'), one(SLOW));
    await harness.runBegun();
    const waiting = judged(harness, 'mean');
    addRemote(harness, server, 2, { ...meanOf4x2, steps: 2, golden: [{ window: [1, 1, 1, 1], score: 1 }] });
    harness.host.reload();
    await runs(harness, 'mean', 2, 'remote');
    expect(await judged(harness, 'mean', windowOf(6, [1, 2, 2]))).toEqual([2, 6]);
    expect(await waiting).toEqual([1, 5]);
    await underWay;
  });

  test('to a server and back while its host is at a long run keeps its new session', async () => {
    await using server = await OipFaultServer.start();
    await using harness = new HostHarness([meanOf4x2, loop]);
    await Promise.all([harness.ready('mean'), harness.ready('loop')]);
    const underWay = harness.host.run(model('loop'), one(2 * SLOW));
    await harness.runBegun();
    addRemote(harness, server, 2);
    harness.host.reload();
    await runs(harness, 'mean', 2, 'remote');
    harness.directory.add({ ...meanOf4x2, version: 3 });
    harness.host.reload();
    await runs(harness, 'mean', 3, 'cpu');
    expect(await judged(harness, 'loop', one(7))).toEqual([1, 7]);
    expect(await judged(harness, 'mean')).toEqual([3, 5]);
    await underWay;
  });

  test('to a server is not blamed for the host that its last run there took down', async () => {
    await using server = await OipFaultServer.start();
    await using harness = new HostHarness([counting(3)], { deadline: '1m', quarantine: { crashes: 1 } });
    await harness.ready('mean');
    const underWay = harness.host.run(model('mean'), one(100 * SLOW)).catch(String);
    await harness.runBegun();
    server.window = [-1, 1, 1];
    addRemote(harness, server, 2, counting(3));
    harness.host.reload();
    await runs(harness, 'mean', 2, 'remote');
    await crash(harness);
    expect(await underWay).toContain('SIGKILL');
    expect(await judged(harness, 'mean', one(7))).toEqual([2, 7]);
    expect(harness.health('model/mean')?.status).toBe('ok');
  });
});

describe('a version that is to move to a server takes over once that has proved it', () => {
  test('if the host of the previous version crashes meanwhile', async () => {
    await using server = await OipFaultServer.start();
    server.ready = false;
    await using harness = new HostHarness([meanOf4x2]);
    await harness.ready('mean');
    addRemote(harness, server, 2);
    harness.host.reload();
    expect(await degraded(harness, 'mean')).toContain('version 1 keeps running; version 2');
    await crash(harness);
    await runs(harness, 'mean', 1, 'cpu');
    expect(await judged(harness, 'mean')).toEqual([1, 5]);
    server.ready = true;
    await runs(harness, 'mean', 2, 'remote');
    expect(harness.health('model/mean')).toMatchObject({ status: 'ok', reason: '' });
  });

  test('while the version before is being brought back, which does not displace it', async () => {
    await using server = await OipFaultServer.start();
    server.window = [-1, 1, 1];
    server.ready = false;
    await using harness = new HostHarness([counting(3e5)], { loadDeadline: '1m' });
    await harness.ready('mean');
    addRemote(harness, server, 2, counting(3));
    harness.host.reload();
    await degraded(harness, 'mean');
    const calls = vi.spyOn(HostProcess.prototype, 'call');
    await crash(harness);
    const began = (method: string) => calls.mock.calls.findIndex(([called]) => called === method);
    await until(
      () => began('load') >= 0,
      () => 'the version before loads',
    );
    server.ready = true;
    await runs(harness, 'mean', 2, 'remote');
    await calls.mock.results[began('load')]?.value;
    await until(
      () => began('unload') >= 0,
      () => 'its session is unloaded again',
    );
    expect(await judged(harness, 'mean', one(7))).toEqual([2, 7]);
  });

  test('while the previous version is too slow to be restored immediately, and is restored later', async () => {
    await using server = await OipFaultServer.start();
    server.window = [-1, 1, 1];
    server.ready = false;
    const heavy = { ...loop, name: 'heavy', bytes: heavyModel(150) };
    await using harness = new HostHarness([heavy, loop]);
    await Promise.all([harness.ready('heavy'), harness.ready('loop')]);
    addRemote(harness, server, 2, heavy);
    harness.host.reload();
    await degraded(harness, 'heavy');
    await crash(harness);
    await runs(harness, 'heavy', 1, 'cpu');
    expect(await judged(harness, 'heavy', one(7))).toEqual([1, 7]);
    server.ready = true;
    await runs(harness, 'heavy', 2, 'remote');
  });

  test('if its host is replaced meanwhile for another model', async () => {
    await using server = await OipFaultServer.start();
    server.ready = false;
    await using harness = new HostHarness([meanOf4x2, loop]);
    await Promise.all([harness.ready('mean'), harness.ready('loop')]);
    addRemote(harness, server, 2);
    harness.host.reload();
    await degraded(harness, 'mean');
    harness.directory.add({ ...loop, version: 2 });
    harness.host.reload();
    await runs(harness, 'loop', 2, 'cpu');
    expect(await degraded(harness, 'mean')).toContain('version 1 keeps running; version 2');
    server.ready = true;
    await runs(harness, 'mean', 2, 'remote');
  });

  test('while a fresh host starts in which it is no longer needed', async () => {
    const calls = vi.spyOn(HostProcess.prototype, 'call');
    await using server = await OipFaultServer.start();
    server.ready = false;
    await using harness = new HostHarness([meanOf4x2, loop], { maxMemory: '1MB' });
    await Promise.all([harness.ready('mean'), harness.ready('loop')]);
    const pid = harness.host.hostPid() ?? 0;
    addRemote(harness, server, 2);
    harness.host.reload();
    await degraded(harness, 'mean');
    // Its first ping finds it too large.
    await freshHost(pid);
    server.ready = true;
    await runs(harness, 'mean', 2, 'remote');
    await until(
      () => harness.host.hostPid() !== pid && harness.status('loop')?.state === 'ready',
      () => 'the fresh host takes over',
    );
    expect(await judged(harness, 'loop', one(7))).toEqual([1, 7]);
    expect(await judged(harness, 'mean')).toEqual([2, 5]);
    const host = calls.mock.contexts.at(-1) as HostProcess;
    const run = host.call('run', { key: 'mean', inputs: windowOf(1), finite: true }, 5_000);
    await expect(run).rejects.toThrow("No session 'mean' in the host");
  });

  test('if it is activated during the take-over of another version, and vice versa', async () => {
    await using server = await OipFaultServer.start();
    server.window = [-1, 1, 1];
    await using harness = new HostHarness([counting(3)]);
    await harness.ready('mean');
    const pid = harness.host.hostPid() ?? 0;
    harness.directory.add({ ...counting(1e4), version: 2 });
    harness.host.reload();
    await freshHost(pid);
    addRemote(harness, server, 3, counting(3));
    harness.host.reload();
    await runs(harness, 'mean', 3, 'remote');
    server.ready = false;
    addRemote(harness, server, 4, counting(3));
    harness.host.reload();
    await degraded(harness, 'mean');
    harness.directory.add({ ...counting(3), version: 5 });
    harness.host.reload();
    server.ready = true;
    await runs(harness, 'mean', 5, 'cpu');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await judged(harness, 'mean', one(7))).toEqual([5, 7]);
    expect(harness.health('model/mean')).toMatchObject({ status: 'ok', reason: '' });
  });
});
