import { expect, test } from 'vitest';
import { RunLoad, ClientLoad, WatchLoad } from '../support/inference-load.ts';
import type { TestModel } from '../support/onnx-directory.ts';
import { HostHarness, meanOf4x2, model, until, windowOf } from '../support/onnx-host-harness.ts';
import { heavyModel, loopModel } from '../support/onnx-models.ts';
import { metricValue } from '../support/test-deps.ts';
import { V2Server } from '../support/v2-server.ts';

/*
 * Invariant: under load, a change of version fails no request and loses no window; a crash of the host fails the requests
 * in flight and no other, each with a clear error, and the next good answer comes within a second.
 *
 * The processes, the HTTP server and its clients are real; windows go through the judge of the agent. The copy for
 * clients is another host than the watch's, and both change their version at the same time.
 */
const SWAPS = 12;
const RUN_MS = 20;
/** Hop on an idle machine. A busy one gets a multiple of its slowest run: a window that waits until the next is due is replaced. */
const HOP_MS = 250;
const HOP_RUNS = 6;
const CRASHES = 3;
const mean = { model: model('mean'), dims: [1, 4, 2] };
const one = { model: model('loop'), dims: [1, 1, 1] };
const loop: TestModel = { name: 'loop', bytes: loopModel(), steps: 1, tags: 1, golden: [{ window: [3], score: 3 }] };
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

test('versions that change back and forth fail no request and lose no window', async () => {
  await using harness = new HostHarness([meanOf4x2], { deadline: '30s' });
  await harness.ready('mean');
  await using server = await V2Server.start(harness.host.clients);
  await harness.host.clients.run(mean.model, windowOf(1));
  const runs = new RunLoad(harness.host, mean, RUN_MS);
  const clients = new ClientLoad({ url: server.url, model: 'mean', dims: mean.dims, clients: 4, pauseMs: 2 });
  const watch = new WatchLoad(harness.host, mean, Math.max(HOP_MS, HOP_RUNS * (await slowestRunMs(harness))));
  for (let swap = 0; swap < SWAPS; swap += 1) {
    const version = swap % 2 === 0 ? 2 : 1;
    harness.directory.add({ ...meanOf4x2, version });
    harness.host.reload();
    await until(
      () => harness.host.statuses().every((status) => status.state === 'ready' && status.version === version),
      () => JSON.stringify(harness.host.statuses()),
    );
  }
  const [scores] = await Promise.all([runs.stop(), watch.stop(), clients.stop()]);

  for (const host of ['main', 'clients'])
    expect(
      await metricValue(harness.deps, `andon_inference_host_restarts_total{reason="version",host="${host}"}`),
    ).toBe(SWAPS);
  expect(clients.answers.length).toBeGreaterThan(100);
  expect(clients.failed).toEqual([]);
  expect(clients.wrong).toEqual([]);
  expect(scores).toEqual(upTo(scores.length));
  expect(watch.judgements.map(({ job: { number } }) => number)).toEqual(upTo(watch.due));
  expect(watch.decided).toEqual(upTo(watch.due).map((number) => ({ number, score: number })));
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
  'a crash of the host %s under load fails what is in flight alone, and is over within a second',
  async (name) => {
    await using harness = new HostHarness([loop, meanOf4x2], { deadline: '30s' });
    await Promise.all([harness.ready('loop'), harness.ready('mean')]);
    await using server = await V2Server.start(harness.host.clients);
    await harness.host.clients.run(mean.model, windowOf(1));
    await harness.host.clients.run(one.model, windowOf(1, [1, 1, 1]));
    const runs = [new RunLoad(harness.host, mean, RUN_MS), new RunLoad(harness.host, one, RUN_MS)];
    const watch = new WatchLoad(harness.host, mean, HOP_MS);
    const clients = [
      new ClientLoad({ url: server.url, model: 'mean', dims: mean.dims, clients: 3, pauseMs: 2 }),
      // Each takes some milliseconds, so that the crash finds one in flight.
      new ClientLoad({ url: server.url, model: 'loop', dims: one.dims, clients: 3, pauseMs: 0, value: 20_000 }),
    ];
    const startMs = await hostStartMs();
    const backMs: number[] = [];
    for (let crash = 0; crash < CRASHES; crash += 1) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      backMs.push(await backAfterCrash(harness, name));
    }
    const [scores = [], counts = []] = await Promise.all(runs.map((load) => load.stop()));
    await Promise.all([watch, ...clients].map((load) => load.stop()));

    const failed = clients.flatMap((load) => load.failed);
    const lost = [...scores, ...counts].filter((score) => typeof score === 'string');
    // One second on an idle machine. Under load, any host starts more slowly, and repeated crashes back off.
    expect(backMs.toSorted((a, b) => a - b)[1]).toBeLessThan(Math.max(1_000, 3 * startMs));
    expect(Math.max(...backMs)).toBeLessThan(Math.max(3_000, 6 * startMs));
    // One thing is in flight at a time, and it is a single run: this model takes one row.
    expect(failed.length + lost.length).toBeLessThanOrEqual(CRASHES);
    expect(name === 'main' ? failed : lost).toEqual([]);
    for (const { status, retryAfter, error } of failed) {
      expect([status, retryAfter]).toEqual([503, '1']);
      expect(error).toMatch(/inference host ended \(signal SIGKILL\)/);
    }
    for (const error of lost) expect(error).toMatch(/inference host ended \(signal SIGKILL\)/);
    expect(clients.flatMap((load) => load.wrong)).toEqual([]);
    for (const each of [scores, counts])
      expect(each.filter((score, index) => typeof score === 'number' && score !== index + 1)).toEqual([]);
    expect(watch.judgements.map(({ job: { number } }) => number)).toEqual(upTo(watch.due));
  },
);

/** @returns Milliseconds until a further host has its models, with the present load of the machine. */
async function hostStartMs(): Promise<number> {
  const startedMs = performance.now();
  await using further = new HostHarness([loop, meanOf4x2], { deadline: '30s' });
  await Promise.all([further.ready('loop'), further.ready('mean')]);
  return performance.now() - startedMs;
}

/** @returns Milliseconds of the slowest of twenty runs. */
async function slowestRunMs(harness: HostHarness): Promise<number> {
  let slowestMs = 0;
  for (let run = 0; run < 20; run += 1) {
    const startedMs = performance.now();
    await harness.host.run(mean.model, windowOf(1));
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
  }
  return slowestMs;
}

/** Kills the host with SIGKILL. @returns Milliseconds until a run that is asked for afterwards is answered. */
async function backAfterCrash(harness: HostHarness, name: 'main' | 'clients'): Promise<number> {
  const pid = harness.host.hostPid(name) ?? 0;
  const killedMs = performance.now();
  process.kill(pid, 'SIGKILL');
  await until(
    () => harness.host.hostPid(name) !== pid,
    () => 'the crash is seen',
  );
  await (name === 'main' ? harness.host : harness.host.clients).run(mean.model, windowOf(1));
  return Math.round(performance.now() - killedMs);
}
