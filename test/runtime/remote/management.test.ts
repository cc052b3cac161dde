import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { verifyModel } from '../../../src/registry/proof/model-verification.ts';
import { modelsConfigSchema } from '../../../src/models/store/models-config.ts';
import { signVersion } from '../../../src/models/store/sign-version.ts';
import { RegistryHarness } from '../../support/registry-harness.ts';
import { OipFaultServer } from '../../support/oip-fault-server.ts';
import { testManifest } from '../../support/onnx-directory.ts';
import { hostEntry, meanOf4x2, model } from '../../support/onnx-host-harness.ts';
import { localMean, RemoteHarness } from '../../support/remote-harness.ts';
import { TestKey } from '../../support/signing-keys.ts';
import { testDeps } from '../../support/test-deps.ts';
import { latencyRuns } from '../../support/latency-runs.ts';

/** A package with a model.yaml and nothing else, as a folder. */
function remotePackage(harness: RegistryHarness, remote: object, version = 1) {
  const { sha256: _, ...manifest } = testManifest({ ...meanOf4x2, version });
  const path = join(harness.path, `remote-${version}`);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'model.yaml'), stringify({ ...manifest, runtime: 'remote', remote }));
  return { source: { kind: 'folder' as const, path } };
}

describe('a remote version', () => {
  test('is verified on its server, with the time of a run against its deadline', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server);
    const verify = (deadline = '10s') =>
      verifyModel({
        entry: hostEntry,
        config: modelsConfigSchema.parse({ directory: harness.directory.path, deadline, loadDeadline: '1m' }),
        model: model('mean'),
        deps: testDeps(),
      });
    expect(await verify()).toMatchObject({
      provider: 'remote',
      golden: { vectors: 2, largestDifference: 0, rowsStayApart: true },
      latency: { runs: latencyRuns, deadlineMs: 10_000 },
    });
    server.fault = 'slow';
    await expect(verify('100ms')).rejects.toMatchObject({ code: 'model-too-slow' });
    server.fault = 'none';
    server.offset = 1;
    await expect(verify()).rejects.toMatchObject({ code: 'model-golden-mismatch' });
    await server.kill();
    await expect(verify()).rejects.toMatchObject({ code: 'remote-unreachable' });
  });

  test('is installed and activated once its server has proved it', async () => {
    await using server = await OipFaultServer.start();
    await using harness = new RegistryHarness();
    server.offset = 1;
    await expect(harness.install(meanOf4x2, remotePackage(harness, { url: server.url }))).rejects.toMatchObject({
      code: 'model-golden-mismatch',
    });
    expect(harness.versions('mean')).toEqual([]);
    server.offset = 0;
    const installed = await harness.install(meanOf4x2, {
      ...remotePackage(harness, { url: server.url }),
      activate: true,
    });
    expect(installed).toMatchObject({
      fresh: true,
      proof: { provider: 'remote', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
    });
    expect(harness.pointer('mean', 'active')).toBe(1);
    expect(await harness.install(meanOf4x2, remotePackage(harness, { url: server.url }))).toMatchObject({
      fresh: false,
    });
    const other = remotePackage(harness, { url: `${server.url}/v2` });
    await expect(harness.install(meanOf4x2, other)).rejects.toMatchObject({ code: 'model-version-taken' });
  });

  test('has no graph, and a local one has one', async () => {
    await using server = await OipFaultServer.start();
    await using harness = new RegistryHarness();
    const order = remotePackage(harness, { url: server.url });
    writeFileSync(join(order.source.path, 'model.onnx'), meanOf4x2.bytes);
    await expect(harness.install(meanOf4x2, order)).rejects.toMatchObject({
      code: 'model-package-invalid',
      message: expect.stringContaining('has a model.onnx, but') as string,
    });
    const bare = join(harness.path, 'bare');
    mkdirSync(bare);
    writeFileSync(join(bare, 'model.yaml'), stringify(testManifest(meanOf4x2)));
    await expect(harness.install(meanOf4x2, { source: { kind: 'folder', path: bare } })).rejects.toMatchObject({
      code: 'model-package-invalid',
      message: expect.stringContaining('has no model.onnx') as string,
    });
  });

  test('from a package sends no secret of this box to a server that is not allowed', async () => {
    await using server = await OipFaultServer.start();
    const remote = { url: server.url, token: { env: 'PATH' } };
    await using harness = new RegistryHarness();
    await expect(harness.install(meanOf4x2, remotePackage(harness, remote))).rejects.toMatchObject({
      code: 'remote-server-not-allowed',
    });
    expect(server.requests).toEqual([]);
    await using allowed = new RegistryHarness({ config: { remoteServers: [server.url] } });
    expect(await allowed.install(meanOf4x2, remotePackage(allowed, remote))).toMatchObject({ fresh: true });
    await using elsewhere = new RegistryHarness({ config: { remoteServers: ['https://triton.example:8000'] } });
    await expect(elsewhere.install(meanOf4x2, remotePackage(elsewhere, { url: server.url }))).rejects.toMatchObject({
      code: 'remote-server-not-allowed',
    });
  });

  test('is activated with a fallback that can judge in its place, and with no other', async () => {
    await using server = await OipFaultServer.start();
    await using harness = new RegistryHarness();
    await harness.install(meanOf4x2, remotePackage(harness, { url: server.url, fallback: 'local@1' }));
    const activate = () => harness.registry.activate({ name: 'mean', version: 1 }, 'cli:tester');
    await expect(activate()).rejects.toMatchObject({ code: 'remote-fallback-unfit' });
    await harness.install(localMean);
    expect(await activate()).toMatchObject({ version: 1 });
  });

  test('runs only if a trusted key signed its model.yaml, once any key is trusted', async () => {
    await using server = await OipFaultServer.start();
    const key = new TestKey();
    await using harness = new RemoteHarness(server, { config: { trust: key.trust } });
    await harness.healthIs('failed');
    expect(harness.health?.reason).toContain('is not signed');
    expect(server.requests).toEqual([]);
    const folder = join(harness.directory.path, 'mean', '1');
    const signed = await signVersion(folder, key.key, { expected: { name: 'mean', version: 1 }, modelBytesMax: 1e6 });
    expect(signed.files).toEqual(['model.yaml']);
    harness.host.reload();
    await harness.provider('remote');
  });
});
