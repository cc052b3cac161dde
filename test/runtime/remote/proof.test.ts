import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { SystemClock } from '../../../src/platform/clock.ts';
import { TestCertificates } from '../../support/broker-certificates.ts';
import { HttpProxy } from '../../support/http-proxy.ts';
import { type MetadataChange, OipFaultServer } from '../../support/oip-fault-server.ts';
import { meanOf4x2, model, until } from '../../support/onnx-host-harness.ts';
import { describeWith } from '../../support/programs.ts';
import { localMean, RemoteHarness } from '../../support/remote-harness.ts';

/*
 * A server is used only after its proof: metadata against model.yaml, and the golden vectors. Invariant: no answer of an
 * unproved version becomes a score.
 */
const fp32 = (name: string, shape: readonly number[]) => ({ name, datatype: 'FP32', shape });

const incompatibilities: readonly (readonly [string, MetadataChange, RegExp])[] = [
  ['another input', { inputs: [fp32('x', [-1, 4, 2])] }, /has inputs 'x', expected 'window' only/],
  ['an extra input', { inputs: [fp32('window', [-1, 4, 2]), fp32('x', [1])] }, /expected 'window' only/],
  ['another type', { inputs: [{ ...fp32('window', [-1, 4, 2]), datatype: 'INT64' }] }, /takes 'window' as int64/],
  ['an unknown type', { inputs: [{ ...fp32('window', [1]), datatype: 'FP8' }] }, /datatype 'FP8'/],
  ['other steps', { inputs: [fp32('window', [-1, 5, 2])] }, /takes 'window' as \[\?, 5, 2\], expected \[\?, 4, 2\]/],
  ['no score', { outputs: [fp32('loss', [-1])] }, /has outputs 'loss', but no 'score'/],
  ['a score of another type', { outputs: [{ ...fp32('score', [-1]), datatype: 'BYTES' }] }, /gives 'score' as string/],
  ['a shape that is none', { inputs: [fp32('window', [-2, 4, 2])] }, /a shape with -2, which is not a size/],
  ['the name of another model', { name: 'other' }, /is of 'other'/],
];

describe('a server whose model has', () => {
  test.each(incompatibilities)('%s is not used, and its health has the reason', async (_, metadata, reason) => {
    await using server = await OipFaultServer.start();
    server.metadata = metadata;
    await using harness = new RemoteHarness(server);
    await until(
      () => reason.test(harness.health?.reason ?? ''),
      () => JSON.stringify(harness.health),
    );
    expect(harness.status()).toMatchObject({ state: 'failed', reason: expect.stringMatching(reason) as string });
    expect(harness.host.ready(model('mean'))).toBeUndefined();
    expect(server.rows).toEqual([]);
    server.metadata = {};
    await harness.provider('remote');
    expect(harness.health?.status).toBe('ok');
  });

  test('other golden outputs needs a human, and is used once it gives the right ones', async () => {
    await using server = await OipFaultServer.start();
    server.offset = 0.5;
    await using harness = new RemoteHarness(server);
    await harness.healthIs('failed');
    expect(harness.health?.reason).toMatch(/Golden vector 0 gives 5 at 0 of 'score', expected 4.5/);
    await expect(harness.judge(1)).rejects.toMatchObject({ code: 'remote-circuit-open' });
    server.offset = 0;
    await harness.provider('remote');
  });

  test('not been loaded is degraded, and takes over automatically', async () => {
    await using server = await OipFaultServer.start();
    server.ready = false;
    await using harness = new RemoteHarness(server);
    await harness.healthIs('degraded');
    expect(harness.health?.reason).toMatch(/model 'mean' is not ready at http.*, nor is the server/);
    server.ready = true;
    await harness.provider('remote');
    expect(harness.health).toMatchObject({ status: 'ok', reason: '' });
  });
});

describe('a server that is unavailable at the start', () => {
  test('is degraded and takes over automatically', async () => {
    await using server = await OipFaultServer.start();
    await server.kill();
    await using harness = new RemoteHarness(server);
    await harness.healthIs('degraded');
    expect(harness.health?.reason).toContain('ECONNREFUSED');
    expect(harness.status()).toMatchObject({ state: 'failed', provider: undefined });
    await server.listen();
    await harness.provider('remote');
    expect((await harness.judge(2)).judgedBy.provider).toBe('remote');
  });

  test('leaves the windows to the fallback from the first on', async () => {
    await using server = await OipFaultServer.start();
    await server.kill();
    await using harness = new RemoteHarness(server, { models: [localMean] });
    await harness.provider('cpu');
    expect(harness.host.ready(model('mean'))).toMatchObject({
      manifest: { name: 'local' },
      judgedBy: { model: 'local', fallbacks: [{ provider: 'remote' }] },
    });
    expect((await harness.judge(2)).judgedBy.model).toBe('local');
    await server.listen();
    await harness.provider('remote');
  });
});

describe('another version on the server', () => {
  test('is not believed before it is proved, and then judges on', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { models: [localMean] });
    await server.kill();
    server.version = '2';
    await server.listen();
    const { judgedBy } = await harness.judge(3);
    expect(judgedBy).toMatchObject({ model: 'local' });
    expect(judgedBy.fallbacks[0]?.reason).toMatch(/answered with version 2 of 'mean', not 1/);
    await harness.provider('remote');
    expect((await harness.judge(3)).judgedBy.provider).toBe('remote');
  });

  test('that does not give the golden outputs gives no score at all', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server);
    Object.assign(server, { version: '2', offset: 1 });
    await expect(harness.judge(3)).rejects.toMatchObject({ code: 'remote-version-changed' });
    await harness.healthIs('failed');
    await expect(harness.judge(3)).rejects.toMatchObject({ code: 'remote-circuit-open' });
    expect(harness.health?.reason).toMatch(/Golden vector 0 gives 5.5/);
  });

  test('under the same number is found out when the server comes back', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { remote: { failures: 1, retries: 0 } });
    await server.kill();
    await expect(harness.judge(3)).rejects.toMatchObject({ code: 'remote-unreachable' });
    server.offset = 1;
    await server.listen();
    await harness.healthIs('failed');
    await expect(harness.judge(3)).rejects.toMatchObject({ code: 'remote-circuit-open' });
  });

  test('than model.yaml names is refused', async () => {
    await using server = await OipFaultServer.start();
    await using harness = new RemoteHarness(server, { remote: { version: 7 } });
    await harness.healthIs('degraded');
    expect(harness.health?.reason).toMatch(/answered with version 1 of 'mean', not 7/);
    expect(server.requests).toContain('POST /v2/models/mean/versions/7/infer');
    server.version = '7';
    await harness.provider('remote');
  });
});

describe('a server that is in use', () => {
  /** A clock on which five minutes pass immediately. */
  class HastyClock extends SystemClock {
    override setTimer(callback: () => void, delayMs: number, options?: { readonly background?: boolean }) {
      return super.setTimer(callback, delayMs === 300_000 ? 50 : delayMs, options);
    }
  }

  test('is proved again from time to time, which finds out other weights under the same version', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { clock: new HastyClock() });
    server.offset = 1;
    await harness.healthIs('failed');
    await expect(harness.judge(1)).rejects.toMatchObject({ code: 'remote-circuit-open' });
  });

  test('and too busy to be proved again keeps judging', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { clock: new HastyClock() });
    server.ready = false;
    const asked = server.requests.length;
    await until(
      () => server.requests.length > asked + 6,
      () => server.requests.join(),
    );
    expect((await harness.judge(2)).judgedBy.provider).toBe('remote');
    expect(harness.health?.status).toBe('ok');
  });

  test('loses no other run if one answer is wrong', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { config: { deadline: '3s' } });
    Object.assign(server, { fault: 'slow', faultsLeft: 1 });
    const slow = harness.judge(7);
    await until(
      () => server.rows.at(-1) === 1 && server.faultsLeft === 0,
      () => server.rows.join(),
    );
    Object.assign(server, { fault: 'wrong-id', faultsLeft: 1 });
    await expect(harness.judge(1)).rejects.toMatchObject({ code: 'remote-answer-invalid' });
    expect((await slow).outputs['score']?.data).toEqual(Float32Array.of(7));
  });
});

describe('the active version decides the place of the runs', () => {
  const activate = (harness: RemoteHarness, version: number) => {
    writeFileSync(join(harness.directory.path, 'mean', 'active'), `${version}\n`);
    harness.host.reload();
  };

  test('from a server to this box and back; no run fails meanwhile, and each score is of the version that it names', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { offset: 100, config: { deadline: '1m' } });
    harness.directory.add({ ...meanOf4x2, version: 2 });
    const judged: string[] = [];
    const judging = { done: false };
    const judges = Promise.all(
      Array.from({ length: 3 }, async () => {
        while (!judging.done) {
          const { judgedBy, outputs } = await harness.judge(1);
          judged.push(`${judgedBy.version} ${judgedBy.provider} ${outputs['score']?.data[0]}`);
        }
      }),
    );
    activate(harness, 2);
    await harness.provider('cpu');
    activate(harness, 1);
    await harness.provider('remote');
    judging.done = true;
    await judges;
    expect(new Set(judged)).toEqual(new Set(['1 remote 101', '2 cpu 1']));
  });

  test('and an unreachable server does not take over', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { config: { deadline: '2s' } });
    harness.directory.add({ ...meanOf4x2, version: 2 });
    activate(harness, 2);
    await harness.provider('cpu');
    await server.kill();
    activate(harness, 1);
    await harness.healthIs('degraded');
    expect(harness.health?.reason).toMatch(
      /^version 2 keeps running; version 1, now active, did not take over: .*ECONNREFUSED/,
    );
    expect((await harness.judge(1)).judgedBy).toMatchObject({ version: 2, provider: 'cpu' });
    await server.listen();
    await harness.provider('remote');
    expect(harness.health).toMatchObject({ status: 'ok' });
  });

  test('and a server does not take over if another version was activated meanwhile', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server);
    harness.directory.add({ ...meanOf4x2, version: 2 });
    activate(harness, 2);
    await harness.provider('cpu');
    server.ready = false;
    activate(harness, 1);
    await harness.healthIs('degraded');
    activate(harness, 2);
    server.ready = true;
    const asked = server.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(harness.host.ready(model('mean'))?.judgedBy).toMatchObject({ version: 2, provider: 'cpu' });
    expect(server.requests.length).toBeLessThanOrEqual(asked + 4);
  });
});

describe('a fallback', () => {
  test.each([
    ['is not there', [], /fallback local@1 cannot be used: .*is missing/],
    [
      'sees other tags',
      [{ ...localMean, manifest: { tags: [{ name: 'a' }, { name: 'b' }] } }],
      /has the tags a \[\], b \[\], expected tag-0/,
    ],
    [
      'sees other steps',
      [{ ...localMean, steps: 2, golden: [{ window: [1, 1, 1, 1], score: 1 }] }],
      /has 2 steps, expected 4/,
    ],
  ])('that %s does not judge, and the health reports it while it is needed', async (_, models, reason) => {
    await using server = await OipFaultServer.start();
    const remote = { failures: 1, retries: 0, fallback: 'local@1' };
    await using harness = await RemoteHarness.ready(server, { remote, models });
    server.fault = 'failed';
    await expect(harness.judge(1)).rejects.toMatchObject({ code: 'remote-refused' });
    expect(harness.health?.reason).toMatch(reason);
    expect(harness.host.statuses().map(({ name }) => name)).toEqual(['mean']);
  });

  test('that is remote too is not used', async () => {
    await using server = await OipFaultServer.start();
    await using harness = new RemoteHarness(server, { remote: { failures: 1, retries: 0, fallback: 'local@1' } });
    harness.directory.addRemote(localMean, { url: server.url, model: 'mean' });
    await harness.provider('remote');
    server.fault = 'failed';
    await expect(harness.judge(1)).rejects.toMatchObject({ code: 'remote-refused' });
    expect(harness.health?.reason).toMatch(/its fallback local@1 is remote too/);
  });

  test('is unloaded with the version that named it', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { models: [localMean] });
    harness.directory.add({ ...meanOf4x2, version: 2 });
    harness.host.reload();
    await harness.provider('cpu');
    await until(
      () => harness.status('local') === undefined,
      () => JSON.stringify(harness.host.statuses()),
    );
    expect(harness.deps.health.components().map(({ name }) => name)).not.toContain('model/local@1');
  });
});

describe('requests to a server', () => {
  test('carry the token, read again for each request, and never if the configuration does not list the server', async () => {
    await using server = await OipFaultServer.start();
    process.env['ANDON_TEST_TOKEN'] = 'one';
    const remote = { token: { env: 'ANDON_TEST_TOKEN' }, headers: { 'x-plant': 'lyon' } };
    await using harness = await RemoteHarness.ready(server, { remote, config: { remoteServers: [`${server.url}/`] } });
    process.env['ANDON_TEST_TOKEN'] = 'two';
    await harness.judge(1);
    expect(server.authorizations[0]).toBe('Bearer one');
    expect(server.authorizations.at(-1)).toBe('Bearer two');

    await using other = await OipFaultServer.start();
    await using refused = new RemoteHarness(other, { config: { remoteServers: [server.url] } });
    await refused.healthIs('failed');
    expect(refused.health?.reason).toContain('is not in models.remoteServers');
    expect(other.requests).toEqual([]);
  });

  test('below the path that its URL has, with or without /v2', async () => {
    await using server = await OipFaultServer.start();
    await using harness = new RemoteHarness(server, { remote: { url: `${server.url}/triton/v2/` } });
    await harness.healthIs('degraded');
    expect(server.requests[0]).toBe('GET /triton/v2/health/ready');
    await using plain = await RemoteHarness.ready(server, { remote: { url: `${server.url}/v2` } });
    expect(plain.health?.status).toBe('ok');
  });
});

describeWith(['openssl'], 'requests to a server', () => {
  test('over TLS with the authority that model.yaml names, and with no other', async () => {
    await using certificates = TestCertificates.make();
    const pem = (path: string) => readFileSync(path, 'utf8');
    const { cert, key } = certificates.server;
    await using server = await OipFaultServer.start({ cert: pem(cert), key: pem(key) });
    for (const ca of [certificates.ca, pem(certificates.ca)]) {
      await using harness = await RemoteHarness.ready(server, { remote: { ca } });
      expect((await harness.judge(1)).judgedBy.provider).toBe('remote');
    }
    await using stranger = new RemoteHarness(server);
    await stranger.healthIs('degraded');
    expect(stranger.health?.reason).toMatch(/No exchange with https.*certificate/);
  });

  test('through the proxy of the environment', async () => {
    await using certificates = TestCertificates.make();
    const { cert, key } = certificates.server;
    await using server = await OipFaultServer.start({
      cert: readFileSync(cert, 'utf8'),
      key: readFileSync(key, 'utf8'),
    });
    await using proxy = await new HttpProxy({ 'lake.example': Number(new URL(server.url).port) }).listen();
    vi.stubEnv('https_proxy', proxy.url);
    vi.stubEnv('no_proxy', '');
    const remote = { url: 'https://lake.example', ca: certificates.ca };
    await using harness = await RemoteHarness.ready(server, { remote, config: { deadline: '1m' } });
    expect((await harness.judge(1)).judgedBy.provider).toBe('remote');
    expect(proxy.requests[0]?.line).toBe('CONNECT lake.example:443');
    vi.unstubAllEnvs();
  });
});
