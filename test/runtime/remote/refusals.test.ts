import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { errorCode } from '../../../src/platform/errors.ts';
import { OipFaultServer } from '../../support/oip-fault-server.ts';
import { HostHarness, meanOf4x2, model, until, windowOf } from '../../support/onnx-host-harness.ts';
import type { TestModel } from '../../support/onnx-directory.ts';
import { loopModel, meanModel } from '../../support/onnx-models.ts';
import { localMean, RemoteHarness } from '../../support/remote-harness.ts';
import { metricValue } from '../../support/test-deps.ts';

/*
 * Invariant: a refused version, on this box or on a server, replaces no judging version; health has the reason as long as it
 * applies, and every caller is answered.
 */
const mean = model('mean');
/** A model of one value under the name of the server's; its golden run counts up to `count`. */
const counting = (count: number): TestModel => ({
  name: 'mean',
  bytes: loopModel(),
  steps: 1,
  tags: 1,
  golden: [{ window: [count], score: count }],
});

type Harness = HostHarness | RemoteHarness;

function addRemote(harness: Harness, server: OipFaultServer, version: number): void {
  harness.directory.addRemote({ ...meanOf4x2, version }, { url: server.url });
}

function activate(harness: Harness, version: number): void {
  writeFileSync(join(harness.directory.path, 'mean', 'active'), `${version}\n`);
}

function health(harness: Harness, name: string) {
  return harness.deps.health.components().find((component) => component.name === name);
}

/** Waits until the health of a component has this reason. */
async function says(harness: Harness, name: string, reason: RegExp): Promise<void> {
  await until(
    () => reason.test(health(harness, name)?.reason ?? ''),
    () => JSON.stringify(harness.deps.health.components()),
  );
}

async function crash({ host }: Harness, name = 'main'): Promise<void> {
  const pid = host.hostPid(name) ?? 0;
  process.kill(pid, 'SIGKILL');
  await until(
    () => host.hostPid(name) !== pid,
    () => 'the crash is seen',
  );
}

describe('a version whose server is unavailable', () => {
  test('is refused at each load, and forgotten with a rollback', async () => {
    await using server = await OipFaultServer.start();
    await server.kill();
    await using harness = new HostHarness([]);
    harness.directory.add(meanOf4x2);
    await harness.host.clients.load(mean);
    addRemote(harness, server, 2);
    await expect(harness.host.clients.load(mean)).rejects.toThrow(/version 1 keeps running; version 2, .*ECONNREFUSED/);
    expect(health(harness, 'served/mean')?.reason).toMatch(/version 1 keeps running; version 2, .*ECONNREFUSED/);
    expect((await harness.host.clients.run(mean, windowOf(3))).judgedBy).toMatchObject({ version: 1 });
    activate(harness, 1);
    await harness.host.clients.load(mean);
    expect(health(harness, 'served/mean')).toMatchObject({ status: 'ok', reason: '' });
    await server.listen();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(server.requests).toEqual([]);
  });

  test('is tried immediately if it is loaded again, and its error is returned to the caller', async () => {
    await using server = await OipFaultServer.start();
    await using harness = new HostHarness([]);
    addRemote(harness, server, 1);
    await harness.host.clients.load(mean);
    await server.kill();
    for (let run = 0; run < 3; run += 1) await harness.host.clients.run(mean, windowOf(1)).catch(String);
    await expect(harness.host.clients.load(mean)).rejects.toThrow('ECONNREFUSED');
    await server.listen();
    await harness.host.clients.load(mean);
    expect(health(harness, 'served/mean')?.status).toBe('ok');
  });

  test('is cancelled if it is unloaded during its proof', async () => {
    await using server = await OipFaultServer.start();
    server.fault = 'hang';
    await using harness = new HostHarness([], { loadDeadline: '2s' });
    addRemote(harness, server, 1);
    const loaded = harness.host.clients.load(mean).catch(errorCode);
    await until(
      () => server.rows.length > 0,
      () => 'the golden vectors are requested',
    );
    await harness.host.clients.unload(mean);
    expect(await loaded).toBe('model-load-failed');
    const asked = server.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    expect(server.requests).toHaveLength(asked);
    expect(harness.deps.health.components().map(({ name }) => name)).not.toContain('served/mean');
  });

  test('is not ready for clients, even if a fallback judges for the watches', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { models: [localMean], remote: { retries: 0 } });
    await harness.host.clients.load(mean);
    await server.kill();
    for (let run = 0; run < 3; run += 1) await harness.host.clients.run(mean, windowOf(1)).catch(String);
    expect(harness.host.clients.served(mean)).toBeUndefined();
    await expect(harness.host.clients.load(mean)).rejects.toThrow('ECONNREFUSED');
    expect((await harness.judge(3)).judgedBy.model).toBe('local');
  });
});

describe('a judging server keeps judging', () => {
  test.each<readonly [string, TestModel, Readonly<Record<string, unknown>>, RegExp]>([
    ['gives another score', { ...meanOf4x2, golden: [{ window: Array(8).fill(1), score: 2 }] }, {}, /expected 2/],
    ['takes its host down', counting(1e9), { loadDeadline: '3s' }, /did not finish 'load' within 3000 ms/],
    [
      'is slower than its deadline',
      { ...counting(1e5), manifest: { serving: { deadline: '10ms' } } },
      {},
      /Of \d+ runs .* the deadline is 10 ms/,
    ],
  ])('if a version on the box %s', async (_, bad, config, reason) => {
    await using server = await OipFaultServer.start();
    await using harness = new HostHarness([], config);
    addRemote(harness, server, 1);
    await harness.host.clients.load(mean);
    harness.directory.add({ ...bad, version: 2 });
    await expect(harness.host.clients.load(mean)).rejects.toThrow(/version 1 keeps running; version 2, now active,/);
    expect(health(harness, 'served/mean')?.reason).toMatch(reason);
    expect(
      await metricValue(harness.deps, 'andon_inference_host_restarts_total{reason="timeout",host="clients"}'),
    ).toBe(0);
    expect((await harness.host.clients.run(mean, windowOf(3))).judgedBy).toMatchObject({ provider: 'remote' });
    activate(harness, 1);
    await harness.host.clients.load(mean);
    expect(health(harness, 'served/mean')).toMatchObject({ status: 'ok', reason: '' });
  });

  test('if a host crashes that no model of this agent needs', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server);
    await crash(harness);
    expect((await harness.judge(3)).judgedBy.provider).toBe('remote');
    expect(harness.health).toMatchObject({ status: 'ok' });
    const other = { ...meanOf4x2, version: 2 };
    harness.directory.add(other);
    harness.host.reload();
    await harness.provider('cpu');
    await crash(harness);
    await harness.provider('cpu');
    await until(
      () => harness.status()?.state === 'ready',
      () => JSON.stringify(harness.status()),
    );
    activate(harness, 1);
    harness.host.reload();
    await harness.provider('remote');
  });

  test('and its caller is answered, even if the host is lost at that moment', async () => {
    await using server = await OipFaultServer.start();
    await using harness = new HostHarness([]);
    harness.directory.add({ ...counting(3), name: 'loop' });
    addRemote(harness, server, 1);
    await Promise.all([harness.host.clients.load(mean), harness.host.clients.load(model('loop'))]);
    await harness.host.clients.unload(model('loop'));
    const pid = harness.host.hostPid('clients') ?? 0;
    process.kill(pid, 'SIGSTOP');
    // The host does not answer the next ping: requests now wait behind it.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const loaded = harness.host.clients.load(mean);
    await crash(harness, 'clients');
    await expect(loaded).resolves.toBeUndefined();
  });
});

describe('a version on a server that does not fit the watches', () => {
  test('does not take over from the box, and gets no request', async () => {
    await using server = await OipFaultServer.start();
    const incompatibilities = ({ version }: { readonly version: number }) =>
      version === 2 ? ["watch 'a': 3 tags"] : [];
    await using harness = new HostHarness([meanOf4x2], {}, incompatibilities);
    await harness.ready('mean');
    addRemote(harness, server, 2);
    harness.host.reload();
    await says(harness, 'model/mean', /version 1 keeps running; .*watch 'a': 3 tags/);
    expect((await harness.host.run(mean, windowOf(3))).judgedBy).toMatchObject({ version: 1, provider: 'cpu' });
    expect(server.requests).toEqual([]);
    activate(harness, 1);
    harness.host.reload();
    await until(
      () => health(harness, 'model/mean')?.status === 'ok',
      () => JSON.stringify(health(harness, 'model/mean')),
    );
  });
});

describe('a version on another server', () => {
  test('that takes over owns the figures of the circuit breaker', async () => {
    await using server = await OipFaultServer.start();
    await using other = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { remote: { failures: 1, retries: 0 } });
    await server.kill();
    await harness.judge(1).catch(String);
    const open = () => metricValue(harness.deps, 'andon_remote_circuit_open{model="mean",host="main"}');
    expect(await open()).toBe(1);
    addRemote(harness, other, 2);
    harness.host.reload();
    await harness.provider('remote');
    expect(await open()).toBe(0);
  });
});

describe('a fallback', () => {
  const away = { failures: 1, retries: 0 };

  test('that a watch uses too is kept when the version that named it is replaced', async () => {
    await using server = await OipFaultServer.start();
    const options = { models: [localMean], watched: ['local@1'], remote: away };
    await using harness = await RemoteHarness.ready(server, options);
    await server.kill();
    expect((await harness.judge(3)).judgedBy.model).toBe('local');
    harness.directory.add({ ...meanOf4x2, version: 2 });
    harness.host.reload();
    await until(
      () => harness.host.ready(mean)?.judgedBy.model === 'mean',
      () => JSON.stringify(harness.host.statuses()),
    );
    expect((await harness.host.run(model('local@1'), windowOf(4))).judgedBy.model).toBe('local');
  });

  test('whose host crashes judges again after its restart', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, {
      models: [localMean],
      remote: away,
      config: { deadline: '5s' },
    });
    await server.kill();
    expect((await harness.judge(3)).judgedBy.model).toBe('local');
    await crash(harness);
    expect((await harness.judge(4)).outputs['score']?.data[0]).toBe(4);
    expect((await harness.judge(5)).judgedBy).toMatchObject({ model: 'local', fallbacks: [{ provider: 'remote' }] });
  });

  test('whose folder has another window length does not judge, and judges again after the folder is corrected', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { models: [localMean], remote: away });
    await server.kill();
    await harness.judge(3);
    const short = [{ window: [1, 1, 1, 1], score: 1 }];
    harness.directory.add({ ...localMean, bytes: meanModel(2, 2), steps: 2, golden: short });
    harness.host.reload();
    await until(
      () => harness.host.ready(mean) === undefined,
      () => JSON.stringify(harness.host.statuses()),
    );
    await expect(harness.judge(3)).rejects.toMatchObject({ code: 'remote-circuit-open' });
    harness.directory.add(localMean);
    harness.host.reload();
    await harness.provider('cpu');
    expect((await harness.judge(3)).judgedBy.model).toBe('local');
  });
});
