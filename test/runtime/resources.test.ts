import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { sessionOptions } from '../../src/runtime/session/session-options.ts';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import { providersOf } from '../../src/models/store/serving.ts';
import { ClientLoad, endedMore, RunLoad } from '../support/inference-load.ts';
import type { TestModel } from '../support/onnx-directory.ts';
import { HostHarness, meanOf4x2, model, until, windowOf } from '../support/onnx-host-harness.ts';
import { hungryModel } from '../support/onnx-models.ts';
import { metricValue } from '../support/test-deps.ts';
import { V2Server } from '../support/v2-server.ts';

/*
 * What the configuration says of a model's threads, process, memory and device is what the process is given.
 */
const hungry: TestModel = {
  name: 'hungry',
  bytes: hungryModel(),
  steps: 1,
  tags: 1,
  golden: [{ window: [4], score: 4 }],
};
const named = (name: string): TestModel => ({ ...meanOf4x2, name });
const mean = { model: model('mean'), dims: [1, 4, 2] };

test('a model has as many threads as it is given, in the process that is named for it', async () => {
  await using harness = new HostHarness([named('narrow'), named('wide'), named('plain')], {
    limits: { narrow: { host: 'narrow', intraOpThreads: 1 }, wide: { host: 'wide', intraOpThreads: 5 } },
  });
  await Promise.all(['narrow', 'wide', 'plain'].map((name) => harness.ready(name)));
  const pids = ['narrow', 'wide', 'main'].map((host) => harness.host.hostPid(host) ?? 0);
  expect(new Set(pids).size).toBe(3);
  const [narrow = 0, wide = 0, main = 0] = pids.map(threadsOf);
  // The calling thread is one of those of an operator.
  expect(wide - narrow).toBe(4);
  expect(main).toBe(narrow);
  process.kill(pids[1] ?? 0, 'SIGKILL');
  await harness.state('wide', 'loading');
  expect((await harness.host.run(model('narrow'), windowOf(2))).outputs['score']?.data[0]).toBe(2);
  await harness.ready('wide');
  expect(threadsOf(harness.host.hostPid('wide') ?? 0)).toBe(wide);
});

test('the cap of one host is for it alone', async () => {
  await using harness = new HostHarness([named('small'), named('plain')], {
    limits: { small: { host: 'small' } },
    hosts: { small: { maxMemory: '1MB' } },
  });
  await Promise.all([harness.ready('small'), harness.ready('plain')]);
  await until(
    () => harness.health('inference/small')?.status === 'degraded',
    () => JSON.stringify(harness.health('inference/small')),
  );
  expect(harness.health('inference/small')?.reason).toMatch(/of 1\.0 MB .*; raise models\.hosts\.small\.maxMemory/);
  expect(await restarts(harness, 'small')).toBe(1);
  expect(await restarts(harness, 'main')).toBe(0);
});

test('a host that is replaced for its memory under load fails no request and loses no window', async () => {
  await using harness = new HostHarness([meanOf4x2, hungry], {
    maxMemory: '180MB',
    limits: { mean: { host: 'main' } },
  });
  await Promise.all([harness.ready('mean'), harness.ready('hungry')]);
  await using server = await V2Server.start(harness.host.clients);
  await harness.host.clients.run(mean.model, windowOf(1));
  const runs = new RunLoad(harness.host, mean, { open: 2, pauseMs: 20 });
  const clients = new ClientLoad({ url: server.url, model: 'mean', dims: mean.dims, clients: 4, pauseMs: 2 });
  // ONNX Runtime keeps what a run took.
  await harness.host.run(model('hungry'), windowOf(5e7, [1, 1, 1])).catch(() => undefined);
  while ((await restarts(harness, 'main')) === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  await endedMore([runs, clients], 50);
  const [scores] = await Promise.all([runs.stop(), clients.stop()]);
  expect(scores).toEqual(scores.map((_, index) => index + 1));
  expect([...clients.failed, ...clients.wrong]).toEqual([]);
  expect(harness.health('inference')).toMatchObject({ status: 'ok', reason: '' });
});

test('the device that a model is given is the one that CUDA is asked for', () => {
  const config = modelsConfigSchema.parse({
    executionProviders: ['cuda', 'cpu'],
    limits: { big: { executionProviders: [{ name: 'cuda', deviceId: 1 }, 'cpu'], intraOpThreads: 3 } },
  });
  const options = (name: string, intraOpThreads: number) =>
    providersOf(config, name).map((provider) => sessionOptions({ provider, intraOpThreads }, '/staging'));
  expect(options('big', 3)).toMatchObject([
    {
      executionProviders: [{ name: 'cuda', deviceId: 1 }],
      intraOpNumThreads: 3,
      profileFilePrefix: '/staging/profile',
    },
    { executionProviders: ['cpu'], intraOpNumThreads: 3, enableProfiling: false },
  ]);
  expect(options('other', 1)[0]?.executionProviders).toEqual([{ name: 'cuda', deviceId: 0 }]);
});

function threadsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

function restarts(harness: HostHarness, host: string): Promise<number> {
  return metricValue(harness.deps, `andon_inference_host_restarts_total{reason="memory",host="${host}"}`);
}
