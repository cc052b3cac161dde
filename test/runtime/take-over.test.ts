import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { errorCode, invariant } from '../../src/platform/errors.ts';
import { HostProcess } from '../../src/runtime/host/host-process.ts';
import { inferenceHostPids } from '../support/crash-children.ts';
import type { TestModel } from '../support/onnx-directory.ts';
import { HostHarness, meanOf4x2, model, until, windowOf } from '../support/onnx-host-harness.ts';
import { hungryModel, loopModel, meanModel, rootModel } from '../support/onnx-models.ts';
import { metricValue } from '../support/test-deps.ts';

/*
 * Invariant: a version takes over in one step, in a fresh host that has proved it and loaded all other models too. If the
 * version, the fresh host or the live host fails, the previous version keeps running or is restored.
 */
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const golden = [{ window: [3], score: 3 }];
const loop: TestModel = { name: 'loop', bytes: loopModel(), steps: 1, tags: 1, golden };
const one = (value: number) => windowOf(value, [1, 1, 1]);
const endless: TestModel = { ...loop, version: 2, golden: [{ window: [1e9], score: 1e9 }] };

describe('a bad version leaves the live host unchanged, and its reason is reported', () => {
  test.each<readonly [string, TestModel, Readonly<Record<string, unknown>>, RegExp]>([
    ['gives NaN', { ...loop, bytes: rootModel(), golden: [{ window: [-1], score: 1 }] }, {}, /'score' has NaN/],
    [
      'gives another score',
      { ...loop, golden: [{ window: [3], score: 4 }] },
      {},
      /gives 3 at 0 of 'score', expected 4/,
    ],
    ['has a graph with another hash', { ...loop, manifest: { sha256: 'b'.repeat(64) } }, {}, /has SHA-256/],
    ['is not a graph', { ...loop, bytes: Buffer.from('no graph') }, {}, /is not an ONNX model/],
    ['does not end', endless, { loadDeadline: '3s' }, /did not finish 'load' within 3000 ms/],
    [
      'is slower than its deadline',
      { ...loop, golden: [{ window: [1e5], score: 1e5 }], manifest: { serving: { deadline: '10ms' } } },
      {},
      /Of \d+ runs of one row, the median .* the deadline is 10 ms/,
    ],
    [
      'takes more memory than its host may',
      { ...loop, bytes: hungryModel(), golden: [{ window: [1e8], score: 1e8 }], manifest: { goldenTolerance: 1 } },
      { maxMemory: '400MB' },
      /its host would take .* of 400\.0 MB \(models\.maxMemory\)/,
    ],
  ])('one that %s', async (_, bad, config, reason) => {
    await using harness = new HostHarness([loop, meanOf4x2], config);
    await Promise.all([harness.ready('loop'), harness.ready('mean')]);
    const pid = harness.host.hostPid();
    harness.directory.add({ ...bad, version: 2 });
    harness.host.reload();
    await until(
      () => harness.health('model/loop')?.status === 'degraded',
      () => JSON.stringify(harness.health('model/loop')),
    );
    expect(harness.health('model/loop')?.reason).toMatch(
      /^version 1 keeps running; version 2, now active, did not take over: /,
    );
    expect(harness.health('model/loop')?.reason).toMatch(reason);
    expect(await harness.host.run(model('loop'), one(3))).toMatchObject({ judgedBy: { version: 1 } });
    expect(harness.host.hostPid()).toBe(pid);
    await until(
      () => inferenceHostPids(process.pid).length === 1,
      () => 'the fresh host has ended',
    );
    expect(harness.health('model/mean')?.status).toBe('ok');
  });

  test('a version that crashes its host, while a good one takes over', async () => {
    const staging = mkdtempSync(join(tmpdir(), 'andon-test-'));
    vi.stubEnv('TMPDIR', staging);
    await using harness = new HostHarness([loop, meanOf4x2]);
    await Promise.all([harness.ready('loop'), harness.ready('mean')]);
    const pid = harness.host.hostPid() ?? 0;
    harness.directory.add(endless);
    harness.directory.add({ ...meanOf4x2, version: 2 });
    harness.host.reload();
    const fresh = await freshHost(pid);
    await until(
      () => readdirSync(staging, { recursive: true }).some((path) => String(path).includes('/model-')),
      () => 'the fresh host loads the version',
    );
    process.kill(fresh, 'SIGSEGV');
    await version(harness, 'mean', 2);
    expect(harness.health('model/loop')?.reason).toMatch(/version 1 keeps running; version 2, .*SIGSEGV/);
    expect((await harness.host.run(model('loop'), one(3))).judgedBy.version).toBe(1);
    expect(await restarts(harness, 'crash')).toBe(0);
    expect(
      await metricValue(harness.deps, 'andon_model_versions_refused_total{model="loop",code="host-crashed"}'),
    ).toBe(1);
    rmSync(staging, { recursive: true });
  });

  test('and its reason is kept when the host is replaced for another model, or lost', async () => {
    await using harness = new HostHarness([loop, meanOf4x2]);
    await Promise.all([harness.ready('loop'), harness.ready('mean')]);
    harness.directory.add({ ...loop, version: 2, golden: [{ window: [3], score: 4 }] });
    harness.host.reload();
    await until(
      () => harness.health('model/loop')?.status === 'degraded',
      () => 'the version is refused',
    );
    harness.directory.add({ ...meanOf4x2, version: 2 });
    harness.host.reload();
    await version(harness, 'mean', 2);
    const refused = { status: 'degraded', reason: expect.stringContaining('version 1 keeps running') as string };
    expect(harness.health('model/loop')).toMatchObject(refused);
    process.kill(harness.host.hostPid() ?? 0, 'SIGKILL');
    await harness.state('loop', 'loading');
    await harness.ready('loop');
    expect(harness.status('loop')?.version).toBe(1);
    expect(harness.health('model/loop')).toMatchObject(refused);
    harness.directory.add({ ...loop, version: 1 });
    harness.host.reload();
    await until(
      () => harness.health('model/loop')?.status === 'ok',
      () => 'the version that runs is active again',
    );
  });

  test('one that the watches cannot be judged by', async () => {
    const incompatibilities = ({ version: found }: { readonly version: number }) =>
      found === 2 ? ["watch 'a': 3 tags"] : [];
    await using harness = new HostHarness([meanOf4x2], {}, incompatibilities);
    await harness.ready('mean');
    const pid = harness.host.hostPid();
    harness.directory.add({ ...meanOf4x2, version: 2 });
    harness.host.reload();
    await until(
      () => harness.health('model/mean')?.status === 'degraded',
      () => 'the version is refused',
    );
    expect(harness.health('model/mean')?.reason).toContain(
      "version 1 keeps running; the active version did not take over: watch 'a'",
    );
    expect(harness.host.hostPid()).toBe(pid);
  });

  test('and is retried later, because the cause may be temporary', async () => {
    await using harness = new HostHarness([meanOf4x2], { quarantine: { retryAfter: '1s' } });
    await harness.ready('mean');
    harness.directory.add({ ...meanOf4x2, version: 2, bytes: Buffer.from('still being copied') });
    harness.host.reload();
    await until(
      () => harness.health('model/mean')?.status === 'degraded',
      () => 'the version is refused',
    );
    harness.directory.add({ ...meanOf4x2, version: 2 });
    await version(harness, 'mean', 2);
    expect(harness.health('model/mean')?.status).toBe('ok');
  });

  test('and a client that requested it over HTTP gets the error', async () => {
    await using harness = new HostHarness([]);
    harness.directory.add(loop);
    await harness.host.clients.load(model('loop'));
    harness.directory.add({ ...loop, version: 2, golden: [{ window: [3], score: 4 }] });
    await expect(harness.host.clients.load(model('loop'))).rejects.toThrow('version 1 keeps running');
    expect(harness.host.clients.served(model('loop'))?.judgedBy.version).toBe(1);
  });
});

describe('a take-over', () => {
  test('completes the run in flight in the old host, and moves waiting runs to the fresh one', async () => {
    await using harness = new HostHarness([loop, meanOf4x2]);
    await Promise.all([harness.ready('loop'), harness.ready('mean')]);
    const pid = harness.host.hostPid();
    harness.directory.add({ ...meanOf4x2, version: 2 });
    harness.host.reload();
    let ended = false;
    const underWay = harness.host.run(model('loop'), one(2e6)).finally(() => (ended = true));
    await harness.runBegun();
    const waiting = harness.host.run(model('mean'), windowOf(5));
    expect((await waiting).judgedBy.version).toBe(2);
    expect(ended, 'the run in the old host continues').toBe(false);
    expect(harness.host.hostPid()).not.toBe(pid);
    expect(inferenceHostPids(process.pid)).toContain(pid);
    expect((await underWay).outputs['score']?.data[0]).toBe(2e6);
    await until(
      () => !inferenceHostPids(process.pid).includes(pid ?? 0),
      () => 'the old host ends after its run',
    );
  });

  test('has waiting windows judged by the version with their length', async () => {
    await using harness = new HostHarness([loop, meanOf4x2]);
    await Promise.all([harness.ready('loop'), harness.ready('mean')]);
    const underWay = harness.host.run(model('loop'), one(3e6));
    await harness.runBegun();
    const waiting = harness.host.run(model('mean'), windowOf(5));
    const short = [{ window: [1, 1, 1, 1], score: 1 }];
    harness.directory.add({ ...meanOf4x2, version: 2, bytes: meanModel(2, 2), steps: 2, golden: short });
    harness.host.reload();
    await version(harness, 'mean', 2);
    expect((await harness.host.run(model('mean'), windowOf(6, [1, 2, 2]))).judgedBy.version).toBe(2);
    const { judgedBy, outputs } = await waiting;
    expect([judgedBy.version, outputs['score']?.data[0]]).toEqual([1, 5]);
    expect((await underWay).outputs['score']?.data[0]).toBe(3e6);
    await until(
      () => inferenceHostPids(process.pid).length === 1,
      () => 'the old host ends',
    );
  });

  test('back to an earlier version is not refused for its latency', async () => {
    await using harness = new HostHarness([{ ...loop, version: 2 }]);
    await harness.ready('loop');
    const slow = { golden: [{ window: [1e5], score: 1e5 }], manifest: { serving: { deadline: '10ms' } } };
    harness.directory.add({ ...loop, version: 1, ...slow });
    harness.host.reload();
    await version(harness, 'loop', 1);
    expect(harness.health('model/loop')?.status).toBe('ok');
  });

  test('lets Linux end the fresh host before the live one when memory runs out', async () => {
    await using harness = new HostHarness([loop]);
    await harness.ready('loop');
    const pid = harness.host.hostPid() ?? 0;
    const score = (of: number) => Number(readFileSync(`/proc/${of}/oom_score_adj`, 'utf8'));
    harness.directory.add({ ...loop, version: 2, golden: [{ window: [3e5], score: 3e5 }] });
    harness.host.reload();
    const fresh = await freshHost(pid);
    await until(
      () => score(fresh) === 800,
      () => `${score(fresh)}`,
    );
    expect(score(pid)).toBe(500);
    await version(harness, 'loop', 2);
    expect(harness.host.hostPid()).toBe(fresh);
    expect(score(fresh)).toBe(500);
  });

  test('takes several versions that were activated together', async () => {
    await using harness = new HostHarness([loop, meanOf4x2]);
    await Promise.all([harness.ready('loop'), harness.ready('mean')]);
    harness.directory.add({ ...loop, version: 2 });
    harness.directory.add({ ...meanOf4x2, version: 2 });
    harness.host.reload();
    await Promise.all([version(harness, 'loop', 2), version(harness, 'mean', 2)]);
    expect(await restarts(harness, 'version')).toBe(1);
  });

  test('requested during another one follows it', async () => {
    await using harness = new HostHarness([loop, meanOf4x2]);
    await Promise.all([harness.ready('loop'), harness.ready('mean')]);
    const pid = harness.host.hostPid() ?? 0;
    harness.directory.add({ ...loop, version: 2 });
    harness.host.reload();
    await freshHost(pid);
    harness.directory.add({ ...loop, version: 3 });
    harness.directory.add({ ...meanOf4x2, version: 2 });
    harness.host.reload();
    await Promise.all([version(harness, 'loop', 3), version(harness, 'mean', 2)]);
    expect(await restarts(harness, 'version')).toBe(2);
  });

  test('starts no process if the active versions are running', async () => {
    await using harness = new HostHarness([loop, meanOf4x2]);
    await Promise.all([harness.ready('loop'), harness.ready('mean')]);
    const pid = harness.host.hostPid();
    harness.host.reload();
    await harness.host.clients.load(model('mean'));
    expect(harness.host.hostPid()).toBe(pid);
    expect(await restarts(harness, 'version')).toBe(0);
  });

  test('restarts if the live host crashes meanwhile', async () => {
    await using harness = new HostHarness([loop, meanOf4x2]);
    await Promise.all([harness.ready('loop'), harness.ready('mean')]);
    const pid = harness.host.hostPid() ?? 0;
    harness.directory.add({ ...meanOf4x2, version: 2 });
    harness.host.reload();
    await freshHost(pid);
    process.kill(pid, 'SIGKILL');
    await until(
      () => harness.status('mean')?.state === 'loading',
      () => 'the end of the live host is seen',
    );
    expect((await harness.host.run(model('loop'), one(3))).judgedBy.version).toBe(1);
    await version(harness, 'mean', 2);
    expect(harness.health('model/mean')).toMatchObject({ status: 'ok', reason: '' });
    expect(await restarts(harness, 'crash')).toBe(1);
    await until(
      () => inferenceHostPids(process.pid).length === 1,
      () => `one host is left of ${inferenceHostPids(process.pid).length}`,
    );
  });

  test('whose fresh host ends for an external reason changes nothing, and is repeated later', async () => {
    await using harness = new HostHarness([loop, meanOf4x2], { quarantine: { retryAfter: '1s' } });
    await Promise.all([harness.ready('loop'), harness.ready('mean')]);
    const pid = harness.host.hostPid() ?? 0;
    harness.directory.add({ ...meanOf4x2, version: 2 });
    harness.host.reload();
    process.kill(await freshHost(pid), 'SIGKILL');
    await until(
      () => harness.health('model/mean')?.status === 'degraded',
      () => JSON.stringify(harness.health('model/mean')),
    );
    expect(harness.health('model/mean')?.reason).toContain('SIGKILL');
    expect((await harness.host.run(model('mean'), windowOf(1))).judgedBy.version).toBe(1);
    expect(harness.host.hostPid()).toBe(pid);
    await version(harness, 'mean', 2);
  });

  test('is cancelled if the agent stops, and leaves no process', async () => {
    const harness = new HostHarness([loop]);
    await harness.ready('loop');
    harness.directory.add(endless);
    harness.host.reload();
    await freshHost(harness.host.hostPid() ?? 0);
    const run = harness.host.run(model('loop'), one(3)).catch(errorCode);
    await harness[Symbol.asyncDispose]();
    await run;
    expect(inferenceHostPids(process.pid)).toEqual([]);
    expect(harness.deps.health.components()).toEqual([]);
  });

  test('for memory and for a version is one', async () => {
    await using harness = new HostHarness([meanOf4x2], { maxMemory: '1MB' });
    await harness.ready('mean');
    const pid = harness.host.hostPid() ?? 0;
    await freshHost(pid);
    harness.directory.add({ ...meanOf4x2, version: 2 });
    harness.host.reload();
    await version(harness, 'mean', 2);
    // The need of a fresh host is known now; although it is above 1 MB, no host is replaced.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect((await restarts(harness, 'memory')) + (await restarts(harness, 'version'))).toBe(2);
    expect(harness.health('inference')?.reason).toContain('raise models.maxMemory');
  });

  test('does not bring back a model that was unloaded meanwhile', async () => {
    await using harness = new HostHarness([]);
    harness.directory.add(loop);
    harness.directory.add(meanOf4x2);
    await harness.host.clients.load(model('loop'));
    await harness.host.clients.load(model('mean'));
    const pid = harness.host.hostPid('clients') ?? 0;
    harness.directory.add({ ...meanOf4x2, version: 2 });
    const loaded = harness.host.clients.load(model('mean'));
    await freshHost(pid);
    await harness.host.clients.unload(model('loop'));
    await loaded;
    expect(harness.host.statuses()).toMatchObject([{ name: 'mean', version: 2, state: 'ready' }]);
    await expect(harness.host.clients.run(model('loop'), one(1))).rejects.toMatchObject({ code: 'model-not-ready' });
    await harness.host.clients.load(model('loop'));
    expect((await harness.host.clients.run(model('loop'), one(2))).outputs['score']?.data[0]).toBe(2);
  });
});

describe('a model that takes the host down while it loads', () => {
  test('is loaded in fresh hosts until it is quarantined, and the others run meanwhile', async () => {
    const calls = vi.spyOn(HostProcess.prototype, 'call');
    const loading = () =>
      calls.mock.calls.flatMap(([method, params], index) =>
        method === 'load' && params !== undefined && 'key' in params && params.key === 'loop'
          ? [calls.mock.contexts[index] as HostProcess]
          : [],
      );
    await using harness = new HostHarness([meanOf4x2, endless], { quarantine: { crashes: 3, retryAfter: '10m' } });
    for (let crash = 0; crash < 3; crash += 1) {
      await until(
        () => loading().length === crash + 1,
        () => JSON.stringify(harness.status('loop')),
      );
      const pid = loading()[crash]?.pid;
      invariant(pid !== undefined, 'the host that loads the model lives');
      process.kill(pid, 'SIGKILL');
    }
    await harness.state('loop', 'quarantined');
    await harness.ready('mean');
    expect((await harness.host.run(model('mean'), windowOf(4))).outputs['score']?.data[0]).toBe(4);
    expect(loading()).toHaveLength(3);
    // The first took the host of all models down; no other did.
    expect(await restarts(harness, 'crash')).toBe(1);
  });
});

/** The one that is about to take over from `live`. */
async function freshHost(live: number): Promise<number> {
  // Read once: while the process replaces its program, it has no command line.
  let fresh: number | undefined;
  await until(
    () => (fresh = inferenceHostPids(process.pid).find((pid) => pid !== live)) !== undefined,
    () => 'a fresh host',
  );
  return fresh ?? 0;
}

async function version(harness: HostHarness, name: string, number: number): Promise<void> {
  await until(
    () => harness.status(name)?.version === number && harness.status(name)?.state === 'ready',
    () => JSON.stringify([harness.status(name), harness.health(`model/${name}`)]),
  );
}

function restarts(harness: HostHarness, reason: string): Promise<number> {
  return metricValue(harness.deps, `andon_inference_host_restarts_total{reason="${reason}",host="main"}`);
}
