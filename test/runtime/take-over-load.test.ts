import { afterEach, expect, type MockInstance, test, vi } from 'vitest';
import { invariant } from '../../src/platform/errors.ts';
import { HostProcess } from '../../src/runtime/host/host-process.ts';
import { ClientLoad, endedMore, RunLoad, WatchLoad } from '../support/inference-load.ts';
import type { TestModel } from '../support/onnx-directory.ts';
import { HostHarness, meanOf4x2, model, until, windowOf } from '../support/onnx-host-harness.ts';
import { heavyModel, loopModel } from '../support/onnx-models.ts';
import { metricValue } from '../support/test-deps.ts';
import { V2Server } from '../support/v2-server.ts';

/*
 * Invariant: under load, a change of version fails no request and loses no window. A crash of a host fails the run in flight
 * and no other, with a clear error. The next process starts within 300 ms, loads each model once, and answers what waits.
 *
 * The processes, the HTTP server and its clients are real; windows go through the scheduler of the agent. The copy for clients
 * is another host than the watch's, and both change their version at the same time. Each step lasts until every load has had
 * a number of answers, so that a busy machine takes longer and proves as much.
 */
const SWAPS = 12;
const CRASHES = 3;
/** Answers of each load between two swaps or crashes. */
const ANSWERS = 20;
const mean = { model: model('mean'), dims: [1, 4, 2] };
const one = { model: model('loop'), dims: [1, 1, 1] };
const loop: TestModel = { name: 'loop', bytes: loopModel(), steps: 1, tags: 1, golden: [{ window: [3], score: 3 }] };
const killed = /inference host ended \(signal SIGKILL\)/;
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

afterEach(() => {
  vi.restoreAllMocks();
});

test('versions that change back and forth fail no request and lose no window', async () => {
  await using harness = new HostHarness([meanOf4x2]);
  await harness.ready('mean');
  await using server = await V2Server.start(harness.host.clients);
  await harness.host.clients.run(mean.model, windowOf(1));
  const runs = new RunLoad(harness.host, mean, { open: 2, pauseMs: 20 });
  const clients = new ClientLoad({ url: server.url, model: 'mean', dims: mean.dims, clients: 4, pauseMs: 10 });
  const watch = new WatchLoad(harness.host, mean, { ms: 20, after: 'judgement' });
  const loads = [runs, clients, watch];
  let judgedMeanwhile = 0;
  for (let swap = 0; swap < SWAPS; swap += 1) {
    const version = swap % 2 === 0 ? 2 : 1;
    const before = watch.ended;
    harness.directory.add({ ...meanOf4x2, version });
    harness.host.reload();
    await until(
      () => harness.host.statuses().every((status) => status.state === 'ready' && status.version === version),
      () => JSON.stringify(harness.host.statuses()),
    );
    judgedMeanwhile += watch.ended - before;
    await endedMore(loads, ANSWERS);
  }
  const [scores] = await Promise.all([runs.stop(), watch.stop(), clients.stop()]);

  for (const host of ['main', 'clients']) expect(await restarts(harness, host, 'version')).toBe(SWAPS);
  expect(clients.failed).toEqual([]);
  expect(clients.wrong).toEqual([]);
  expect(scores).toEqual(upTo(scores.length));
  expect(watch.decided).toEqual(upTo(watch.due).map((number) => ({ number, score: number })));
  // The start of a process takes a hundred times as long as a run. If it blocked the host, a swap would judge one window.
  expect(judgedMeanwhile).toBeGreaterThan(3 * SWAPS);
});

test('a heavy model that is loaded next to others delays none of their runs', async () => {
  const golden = [{ window: [3], score: 3 }];
  await using harness = new HostHarness([]);
  harness.directory.add(meanOf4x2);
  await harness.host.clients.load(mean.model);
  harness.directory.add({ name: 'heavy', bytes: heavyModel(150), steps: 1, tags: 1, golden });
  let answered = 0;
  const loaded = new AbortController();
  const runs = (async () => {
    while (!loaded.signal.aborted) {
      await harness.host.clients.run(mean.model, windowOf(1));
      answered += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  await harness.host.clients.load(model('heavy'));
  loaded.abort();
  await runs;
  const run = await harness.host.clients.run(model('heavy'), windowOf(7, [1, 1, 1]));
  expect(run.outputs['score']?.data[0]).toBe(7);
  // Loading takes 0.5 s or more on an idle machine. If it blocked the host, at most 2 runs would be answered meanwhile.
  expect(answered).toBeGreaterThan(10);
});

test.each(['main', 'clients'] as const)(
  'a crash of the host %s under load fails one run, and the next process answers what waits',
  async (name) => {
    await using harness = new HostHarness([loop, meanOf4x2]);
    await Promise.all([harness.ready('loop'), harness.ready('mean')]);
    await using server = await V2Server.start(harness.host.clients);
    await harness.host.clients.run(mean.model, windowOf(1));
    await harness.host.clients.run(one.model, windowOf(1, [1, 1, 1]));
    const calls = vi.spyOn(HostProcess.prototype, 'call');
    const runs = [mean, one].map((shape) => new RunLoad(harness.host, shape, { open: 4, pauseMs: 10 }));
    const watch = new WatchLoad(harness.host, mean, { ms: 250, after: 'window' });
    const clients = [
      new ClientLoad({ url: server.url, model: 'mean', dims: mean.dims, clients: 3, pauseMs: 10 }),
      // Each takes some milliseconds, so that the crash finds one in flight.
      new ClientLoad({ url: server.url, model: 'loop', dims: one.dims, clients: 3, pauseMs: 0, value: 20_000 }),
    ];
    const restartsInMs: number[] = [];
    for (let crash = 0; crash < CRASHES; crash += 1) {
      await endedMore([...runs, ...clients], ANSWERS);
      restartsInMs.push(await crashOf(harness, name));
      await (name === 'main' ? harness.host : harness.host.clients).run(mean.model, windowOf(1));
    }
    await endedMore([...runs, ...clients], ANSWERS);
    const [scores = [], counts = []] = await Promise.all(runs.map((load) => load.stop()));
    await Promise.all([watch, ...clients].map((load) => load.stop()));

    const failed = clients.flatMap((load) => load.failed);
    const lost = [...scores, ...counts].filter((score) => typeof score === 'string');
    const lostWindows = watch.judgements.filter(({ outcome }) => outcome === 'failed');
    // One job is in flight at a time. A run has a row for each of its windows or requests.
    const lostRuns = callsOf(calls).filter(({ method, outcome }) => method === 'run' && outcome === 'rejected');
    for (const { status, retryAfter, error } of failed)
      expect([status, retryAfter, error]).toEqual([503, '1', expect.stringMatching(killed)]);
    for (const error of lost) expect(error).toMatch(killed);
    expect(name === 'main' ? failed : [...lost, ...lostWindows]).toEqual([]);
    expect(lostRuns.length).toBeLessThanOrEqual(CRASHES);
    expect(failed.length + lost.length + lostWindows.length).toBe(lostRuns.reduce((sum, { rows }) => sum + rows, 0));
    expect(clients.flatMap((load) => load.wrong)).toEqual([]);
    for (const each of [scores, counts])
      expect(each.filter((score, index) => typeof score === 'number' && score !== index + 1)).toEqual([]);
    expect(watch.judgements.map(({ job: { number } }) => number)).toEqual(upTo(watch.due));

    expect(Math.max(...restartsInMs)).toBeLessThanOrEqual(300);
    // A crash costs one start: the next process loads all models that ran, each once.
    const processes = [...Map.groupBy(callsOf(calls), ({ process }) => process).values()];
    const loads = processes.map((its) => its.flatMap(({ method, key }) => (method === 'load' ? [key] : [])));
    const eachOnce = Array.from({ length: CRASHES }, () => expect.toSatisfy(isEachModelOnce) as unknown);
    expect(loads.filter(({ length }) => length > 0)).toEqual(eachOnce);
    for (const reason of ['hang', 'timeout']) expect(await restarts(harness, name, reason)).toBe(0);
    expect(await restarts(harness, name, 'crash')).toBe(CRASHES);
  },
);

function isEachModelOnce(loads: readonly (string | undefined)[]): boolean {
  return loads.length === 2 && loads.includes('loop') && loads.includes('mean');
}

/** Kills the host with SIGKILL. @returns Milliseconds until the next process is started, as reported once the end is seen. */
async function crashOf(harness: HostHarness, name: 'main' | 'clients'): Promise<number> {
  const component = name === 'main' ? 'inference' : `inference/${name}`;
  const wait = () => /restarts in (\d+) ms/.exec(harness.health(component)?.reason ?? '')?.[1];
  const pid = harness.host.hostPid(name);
  invariant(pid !== undefined, 'the host has answered and lives');
  process.kill(pid, 'SIGKILL');
  await until(
    () => wait() !== undefined,
    () => 'the crash is seen',
  );
  return Number(wait());
}

/** Ended requests to the hosts, of all processes. */
function callsOf(spy: MockInstance<HostProcess['call']>): readonly {
  readonly process: HostProcess;
  readonly method: string;
  readonly key: string | undefined;
  /** Of a run. */
  readonly rows: number;
  readonly outcome: 'fulfilled' | 'rejected' | 'incomplete' | undefined;
}[] {
  return spy.mock.calls.map(([method, params], index) => ({
    process: spy.mock.contexts[index] as HostProcess,
    method,
    key: params !== undefined && 'key' in params ? params.key : undefined,
    rows: params !== undefined && 'inputs' in params ? (params.inputs['window']?.dims[0] ?? 0) : 0,
    outcome: spy.mock.settledResults[index]?.type,
  }));
}

function restarts(harness: HostHarness, host: string, reason: string): Promise<number> {
  return metricValue(harness.deps, `andon_inference_host_restarts_total{reason="${reason}",host="${host}"}`);
}
