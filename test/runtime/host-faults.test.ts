import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { errorCode, errorMessage } from '../../src/platform/errors.ts';
import { type TestModel, TestModelDirectory } from '../support/onnx-directory.ts';
import { HostHarness, hostEntry, meanOf4x2, model, until, windowOf } from '../support/onnx-host-harness.ts';
import { hungryModel, loopModel } from '../support/onnx-models.ts';
import { metricValue } from '../support/test-deps.ts';

/*
 * Invariant: however the host fails, every run settles, the agent's process lives, and the models that did
 * nothing wrong come back by themselves. The faults are real: signals to the real child, a graph that really loops.
 */
const loop: TestModel = { name: 'loop', bytes: loopModel(), steps: 1, tags: 1, golden: [{ window: [3], score: 3 }] };
const forMinutes = windowOf(1e9, [1, 1, 1]);

describe('the host is replaced', () => {
  test.each(['SIGKILL', 'SIGSEGV', 'SIGABRT'] as const)(
    'when %s ends it during a run, that run fails and the waiting runs go to the next host',
    async (signal) => {
      await using harness = new HostHarness([loop, meanOf4x2]);
      await harness.ready('loop');
      await harness.ready('mean');
      const pid = await pidOf(harness);
      const run = harness.host.run(model('loop'), forMinutes);
      await harness.runBegun();
      const queued = harness.host.run(model('mean'), windowOf(1));
      process.kill(pid, signal);
      await expect(run).rejects.toMatchObject({ code: 'host-crashed', message: expect.stringContaining(signal) });
      expect(harness.status('mean')?.state).toBe('loading');
      expect((await queued).outputs['score']?.data[0]).toBe(1);
      expect((await harness.host.run(model('mean'), windowOf(2))).outputs['score']?.data[0]).toBe(2);
      expect(await pidOf(harness)).not.toBe(pid);
      expect(await metricValue(harness.deps, 'andon_inference_host_restarts_total{reason="crash",host="main"}')).toBe(
        1,
      );
    },
  );

  test('when it dies with nothing to do, and no model is blamed', async () => {
    await using harness = new HostHarness([meanOf4x2], { quarantine: { crashes: 1 } });
    await harness.ready('mean');
    const pid = await pidOf(harness);
    process.kill(pid, 'SIGKILL');
    await until(
      () => harness.health('inference')?.status === 'degraded',
      () => 'health of the host',
    );
    expect(harness.health('inference')?.reason).toContain('signal SIGKILL');
    await harness.ready('mean');
    expect(harness.health('inference')?.status).toBe('ok');
  });

  test('when a run passes its deadline', async () => {
    await using harness = new HostHarness([loop, meanOf4x2], { limits: { loop: { deadline: '200ms' } } });
    await Promise.all([harness.ready('loop'), harness.ready('mean')]);
    await runPastDeadline(harness);
    await Promise.all([harness.ready('loop'), harness.ready('mean')]);
    expect((await harness.host.run(model('mean'), windowOf(5))).outputs['score']?.data[0]).toBe(5);
    expect(await metricValue(harness.deps, 'andon_inference_host_restarts_total{reason="timeout",host="main"}')).toBe(
      1,
    );
  });

  test('when it hangs with nothing to do', async () => {
    await using harness = new HostHarness([meanOf4x2]);
    await harness.ready('mean');
    const pid = await pidOf(harness);
    process.kill(pid, 'SIGSTOP');
    await until(
      () => harness.host.hostPid() !== pid,
      () => 'the stopped host is released',
    );
    await harness.ready('mean');
    expect(await metricValue(harness.deps, 'andon_inference_host_restarts_total{reason="hang",host="main"}')).toBe(1);
  });

  test('when it grows past its memory, without any run failing', async () => {
    await using harness = new HostHarness([meanOf4x2], { maxMemory: '1MB' });
    await harness.ready('mean');
    const pid = await pidOf(harness);
    let runs = 0;
    while (harness.host.hostPid() === pid) {
      await harness.host.run(model('mean'), windowOf(1));
      runs += 1;
    }
    for (let after = 0; after < 100; after += 1) await harness.host.run(model('mean'), windowOf(1));
    expect(await metricValue(harness.deps, 'andon_inference_host_restarts_total{reason="memory",host="main"}')).toBe(1);
    expect(await metricValue(harness.deps, 'andon_inference_runs_total{model="mean",outcome="ok"}')).toBe(runs + 100);
    await until(
      () => !alive(pid),
      () => 'the old host ends',
    );
    expect(harness.health('inference')).toMatchObject({
      status: 'degraded',
      reason: expect.stringContaining('raise models.maxMemory'),
    });
  });
});

test('a version that is activated while a fresh host takes over is not lost', async () => {
  const temporary = mkdtempSync(join(tmpdir(), 'andon-test-'));
  vi.stubEnv('TMPDIR', temporary);
  try {
    await using harness = new HostHarness([loop], { maxMemory: '1MB' });
    await harness.ready('loop');
    const pid = await pidOf(harness);
    await until(
      () => readdirSync(temporary).filter((name) => name.startsWith('andon-models-')).length === 2,
      () => 'a fresh host is started',
    );
    harness.directory.add({ ...loop, version: 2 });
    harness.host.reload();
    await until(
      () => harness.host.hostPid() !== pid,
      () => 'the fresh host takes over',
    );
    await until(
      () => harness.host.ready(model('loop'))?.judgedBy.version === 2,
      () => JSON.stringify(harness.status('loop')),
    );
    expect((await harness.host.run(model('loop'), windowOf(3, [1, 1, 1]))).judgedBy.version).toBe(2);
  } finally {
    vi.unstubAllEnvs();
    rmSync(temporary, { recursive: true });
  }
});

test('a model that crashes the host repeatedly is quarantined while the others continue', async () => {
  await using harness = new HostHarness([loop, meanOf4x2], {
    limits: { loop: { deadline: '200ms' } },
    quarantine: { crashes: 2, retryAfter: '1s' },
  });
  for (let crash = 0; crash < 2; crash += 1) await runPastDeadline(harness);
  const status = await harness.state('loop', 'quarantined');
  expect(status.reason).toContain('2 times within 10m');
  expect(harness.health('model/loop')?.status).toBe('failed');
  await expect(harness.host.run(model('loop'), windowOf(1, [1, 1, 1]))).rejects.toMatchObject({
    code: 'model-not-ready',
  });
  await harness.ready('mean');
  expect((await harness.host.run(model('mean'), windowOf(7))).outputs['score']?.data[0]).toBe(7);
  expect(await metricValue(harness.deps, 'andon_model_quarantines_total{model="loop"}')).toBe(1);
  await runPastDeadline(harness);
  await harness.state('loop', 'quarantined');
});

test('no more runs wait than may, and one that waited past its deadline is not begun', async () => {
  await using harness = new HostHarness([loop, meanOf4x2], { deadline: '1s', maxQueuedRuns: 1 });
  await harness.ready('mean');
  await harness.ready('loop');
  const busy = harness.host.run(model('loop'), forMinutes);
  await harness.runBegun();
  const waiting = harness.host.run(model('mean'), windowOf(1));
  await expect(harness.host.run(model('mean'), windowOf(1))).rejects.toMatchObject({ code: 'inference-queue-full' });
  // Whichever fails first.
  await Promise.all([
    expect(busy).rejects.toMatchObject({ code: 'inference-timeout' }),
    expect(waiting).rejects.toMatchObject({ disposition: 'retry' }),
  ]);
});

test('ONNX Runtime reports nothing to anybody', async () => {
  await using harness = new HostHarness([meanOf4x2]);
  await harness.ready('mean');
  const environment = readFileSync(`/proc/${await pidOf(harness)}/environ`, 'utf8').split('\0');
  expect(environment).toContain('ORT_DISABLE_TELEMETRY=1');
});

test('stopping ends the host and leaves nothing behind, even during a run', async () => {
  // Other tests run at the same time and stage models of their own.
  const temporary = mkdtempSync(join(tmpdir(), 'andon-test-'));
  vi.stubEnv('TMPDIR', temporary);
  const harness = new HostHarness([loop]);
  await harness.ready('loop');
  expect(readdirSync(temporary).filter((name) => name.startsWith('andon-models-'))).toHaveLength(1);
  const pid = await pidOf(harness);
  const outcome = harness.host.run(model('loop'), forMinutes).catch(errorCode);
  await harness.runBegun();
  await harness[Symbol.asyncDispose]();
  expect(await outcome).toBe('host-crashed');
  expect(alive(pid)).toBe(false);
  // The runtime's telemetry would leave its session file here.
  expect(readdirSync(temporary)).toEqual([]);
  vi.unstubAllEnvs();
  rmSync(temporary, { recursive: true });
  expect(harness.deps.health.components()).toEqual([]);
});

test.each([
  ['Linux kills it', []],
  ['a thread of the host kills it, without setpriv', ['without-setpriv']],
] as const)('the host ends with the agent, even in the middle of an endless run: %s', async (_, machine) => {
  using directory = new TestModelDirectory([loop]);
  const support = new URL('../support/onnx-agent.ts', import.meta.url).pathname;
  const agent = spawn(process.execPath, [support, hostEntry.href, directory.path, ...machine], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pid = await new Promise<number>((resolve) =>
    agent.stdout.on('data', (text: Buffer) => resolve(Number(text.toString()))),
  );
  expect(alive(pid)).toBe(true);
  agent.kill('SIGKILL');
  await until(
    () => !alive(pid),
    () => `host ${pid} outlives its agent`,
  );
});

test("the agent's own process never loads ONNX Runtime", async () => {
  await using harness = new HostHarness([meanOf4x2]);
  await harness.ready('mean');
  const pid = await pidOf(harness);
  expect(mapped(pid), 'the canary: the host has it').toContain('onnxruntime');
  expect(mapped(process.pid)).not.toContain('onnxruntime');
});

test('a run that asks for more memory than there can be fails alone', async () => {
  const hungry: TestModel = {
    name: 'hungry',
    bytes: hungryModel(),
    steps: 1,
    tags: 1,
    golden: [{ window: [4], score: 4 }],
  };
  await using harness = new HostHarness([hungry]);
  await harness.ready('hungry');
  const pid = await pidOf(harness);
  // 400 TB, more than an address space of 47 bits holds. A limit of the process (RLIMIT_AS) would also fail allocations
  // of V8 and of threads, which end the process.
  await expect(harness.host.run(model('hungry'), windowOf(1e14, [1, 1, 1]))).rejects.toMatchObject({
    code: 'model-run-failed',
    message: expect.stringMatching(/alloc/i),
  });
  expect((await harness.host.run(model('hungry'), windowOf(9, [1, 1, 1]))).outputs['score']?.data[0]).toBe(9);
  expect(harness.host.hostPid()).toBe(pid);
});

/** Runs `loop` until a run has passed its deadline. A run that waits as long before it begins is refused, and costs no host. */
async function runPastDeadline(harness: HostHarness): Promise<void> {
  for (;;) {
    await harness.ready('loop');
    const error = await harness.host.run(model('loop'), forMinutes).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'inference-timeout', disposition: 'retry' });
    if (/did not finish 'run'/.test(errorMessage(error))) return;
  }
}

async function pidOf(harness: HostHarness): Promise<number> {
  await until(
    () => harness.host.hostPid() !== undefined,
    () => 'a host',
  );
  return harness.host.hostPid() ?? 0;
}

function alive(pid: number): boolean {
  try {
    // A zombie still has its entry, but it runs no more.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function mapped(pid: number): string {
  return readFileSync(`/proc/${pid}/maps`, 'utf8');
}
