import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { meanModel } from '../../support/onnx-models.ts';
import { HostHarness, meanOf4x2, model, until, windowOf } from '../../support/onnx-host-harness.ts';
import { metricValue } from '../../support/test-deps.ts';
import { TestKey } from '../../support/signing-keys.ts';

/*
 * Invariant: with models.trust set, no session is made of a graph that no trusted key signed, on any way to
 * load a model: at the start, for a client, on a reload, after a crash of the host.
 */
const key = new TestKey();
const trust = key.trust;
const ask = (harness: HostHarness) => harness.host.clients.run(model('mean'), windowOf(3));
const folderOf = (harness: HostHarness, version = 1) => join(harness.directory.path, 'mean', String(version));
const untrusted = 'andon_model_untrusted_total{model="mean"}';

/** A host whose model is signed before it is looked at a first time. */
async function signedHarness(config: Readonly<Record<string, unknown>> = {}): Promise<HostHarness> {
  const harness = new HostHarness([], { trust, ...config });
  harness.directory.add(meanOf4x2);
  await key.sign(folderOf(harness));
  return harness;
}

test('an unsigned model of a watch is not loaded, and health, repository and metric say why', async () => {
  await using harness = new HostHarness([meanOf4x2], { trust });
  const { reason } = await harness.state('mean', 'failed');
  expect(reason).toMatch(/^Model mean@1 is not signed/);
  expect(harness.health('model/mean')).toEqual(expect.objectContaining({ status: 'failed', reason }));
  expect(await harness.host.clients.repository()).toMatchObject([{ name: 'mean', state: 'failed', reason }]);
  expect(await metricValue(harness.deps, untrusted)).toBe(1);
  await expect(ask(harness)).rejects.toMatchObject({ code: 'model-not-ready' });
});

test('a client gets a signed model, and no other', async () => {
  await using harness = await signedHarness();
  await harness.host.clients.load(model('mean'));
  expect((await ask(harness)).outputs['score']?.data[0]).toBe(3);
  harness.directory.add({ ...meanOf4x2, version: 2 });
  await expect(harness.host.clients.load(model('mean@2'))).rejects.toThrow(/Model mean@2 is not signed/);
  expect(await harness.host.clients.repository()).toMatchObject([
    { version: 1, state: 'ready' },
    { version: 2, state: 'failed', reason: expect.stringContaining('is not signed') },
  ]);
});

test('an unsigned version that is made active leaves the signed one in use', async () => {
  await using harness = await signedHarness();
  await harness.host.clients.load(model('mean'));
  harness.directory.add({ ...meanOf4x2, version: 2 });
  await expect(harness.host.clients.load(model('mean'))).rejects.toThrow(
    /version 1 keeps running.*mean@2 is not signed/,
  );
  expect((await ask(harness)).judgedBy.version).toBe(1);
  expect(harness.health('served/mean')).toMatchObject({
    status: 'degraded',
    reason: expect.stringMatching(/version 1 keeps running.*mean@2 is not signed/),
  });
  expect(await metricValue(harness.deps, untrusted)).toBe(1);
  await key.sign(folderOf(harness, 2));
  await harness.host.clients.load(model('mean'));
  expect((await ask(harness)).judgedBy.version).toBe(2);
});

describe('a host that is replaced after the folder was tampered with', () => {
  test('loads what was signed, if it is still there', async () => {
    // On a busy machine a new host takes longer than the default.
    await using harness = await signedHarness({ deadline: '60s' });
    await harness.host.clients.load(model('mean'));
    // Another manifest, with no signature at all: what was proved at first is what counts.
    appendFileSync(join(folderOf(harness), 'model.yaml'), '\nthreshold: 99\n');
    rmSync(join(folderOf(harness), 'model.sig'));
    await crash(harness);
    expect((await ask(harness)).outputs['score']?.data[0]).toBe(3);
  });

  test('does not load another graph', async () => {
    await using harness = await signedHarness();
    await harness.host.clients.load(model('mean'));
    writeFileSync(join(folderOf(harness), 'model.onnx'), meanModel(4, 2, 1));
    process.kill(harness.host.hostPid('clients') ?? 0, 'SIGKILL');
    const { reason } = await harness.state('mean', 'failed');
    expect(reason).toMatch(/model\.onnx has SHA-256/);
  });
});

test('a host that grew too large hands on what was signed', async () => {
  await using harness = await signedHarness({ hosts: { clients: { maxMemory: '1MB' } } });
  await harness.host.clients.load(model('mean'));
  const first = harness.host.hostPid('clients');
  rmSync(join(folderOf(harness), 'model.sig'));
  await until(
    () => harness.host.hostPid('clients') !== first && harness.host.clients.served(model('mean')) !== undefined,
    () => JSON.stringify(harness.status('mean')),
  );
  expect((await ask(harness)).outputs['score']?.data[0]).toBe(3);
});

async function crash(harness: HostHarness): Promise<void> {
  const pid = harness.host.hostPid('clients');
  process.kill(pid ?? 0, 'SIGKILL');
  await until(
    () => harness.host.hostPid('clients') !== pid && harness.host.clients.served(model('mean')) !== undefined,
    () => JSON.stringify(harness.status('mean')),
  );
}
