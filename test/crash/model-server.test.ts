import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { childPids, inferenceHostPids, living } from '../support/crash-children.ts';
import { outboxRecords } from '../support/crash-receipts.ts';
import { packageArchive } from '../support/model-packages.ts';
import { meanModel } from '../support/onnx-models.ts';
import { Daemon, HOP_MS, INFER, inferBody } from '../support/serving-daemon.ts';

/*
 * A running daemon, and clients of its models. Invariant: if the model server ends or hangs, the agent's own port answers
 * and no window is lost.
 */
describe('the model server', () => {
  test('answers on its own port; the agent gives that address to clients of /v2 on its port', async () => {
    await using daemon = await Daemon.start();
    expect(await daemon.infer()).toBe(200);
    for (const path of ['/healthz', '/api/v1/watches', '/metrics', '/', '/api/v1/openapi.json'])
      expect({ path, status: (await fetch(daemon.url + path)).status }).toEqual({ path, status: 200 });
    for (const path of ['/healthz', '/api/v1/watches', '/metrics', '/'])
      expect({ path, status: (await fetch(daemon.servingUrl + path)).status }).toEqual({ path, status: 404 });
    expect(await (await fetch(`${daemon.servingUrl}/openapi.json`)).json()).toHaveProperty([
      'paths',
      '/v2/models/{model}',
    ]);

    const address = expect.stringContaining(daemon.servingUrl) as string;
    const large = { method: 'POST', body: Buffer.alloc(8_000_000) };
    for (const [path, init] of [
      ['/v2', {}],
      ['/v2/health/ready', {}],
      [INFER, { method: 'POST', body: inferBody }],
      [INFER, large],
      [`${INFER}?a=b`, { method: 'OPTIONS' }],
    ] as const) {
      const answer = await fetch(daemon.url + path, init);
      expect({ path, status: answer.status, body: await answer.json() }).toEqual({
        path,
        status: 404,
        body: { error: address },
      });
    }
    expect(daemon.agent.stderr).toBe('');
  });

  test('does not run unless it is configured; the agent then gives the setting that starts it', async () => {
    await using daemon = await Daemon.startAgent();
    const answer = await fetch(`${daemon.url}/v2/models/echo`);
    expect({ status: answer.status, body: await answer.json() }).toEqual({
      status: 404,
      body: { error: expect.stringMatching(/serving: \{\}.*127\.0\.0\.1:8081/) as string },
    });
    expect(daemon.modelServerPid).toBeUndefined();
    expect(await daemon.component('serving')).toBeUndefined();
  });

  test('answers a hundred clients that come at the same time, before any model is loaded', async () => {
    await using daemon = await Daemon.start();
    const statuses = await Promise.all(Array.from({ length: 100 }, () => daemon.infer()));
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  test('is restarted after it was killed: its counters continue, and no window is lost', async () => {
    await using daemon = await Daemon.start({ models: { serve: 'all' } });
    await expect.poll(() => daemon.infer().catch(() => 0)).toBe(200);
    for (let count = 0; count < 20; count += 1) expect(await daemon.infer()).toBe(200);
    const answered = () => daemon.metric('andon_http_request_duration_seconds_count', 'status="200"', ':model/infer');
    expect(await answered()).toBe(21);
    for (let kills = 0; kills < 3; kills += 1) {
      const victim = daemon.modelServerPid ?? 0;
      const hosts = inferenceHostPids(daemon.agent.child.pid ?? 0);
      process.kill(victim, 'SIGKILL');
      await daemon.agent.logged(
        ({ component, status, msg }) => component === 'serving' && status === 'degraded' && /SIGKILL/.test(msg),
      );
      await expect.poll(() => daemon.infer().catch(() => 0)).toBe(200);
      expect(daemon.modelServerPid).not.toBe(victim);
      await expect.poll(() => daemon.component('serving')).toMatchObject({ status: 'ok' });
      // The host of the watches remains. Those of the model server end when they notice that it is gone.
      await expect.poll(() => living(hosts).length).toBe(1);
      expect(living(hosts)).toEqual(hosts.slice(0, 1));
      await expect.poll(answered).toBe(22 + kills);
    }
    expect(await daemon.agent.end('SIGTERM')).toBe(0);
    expect(daemon.agent.stderr).toBe('');
    const verdicts = (await outboxRecords(daemon.folder)).filter(({ kind }) => kind === 'verdict').slice(1);
    const judged = verdicts.slice(verdicts.findIndex(({ verdict }) => verdict === 'normal'));
    expect(judged.filter(({ verdict }) => verdict !== 'normal').map(({ reason }) => reason)).toEqual([]);
    expect(judged.length).toBeGreaterThan(10);
    const hops = judged.map(({ timestamp_ms }) => Math.round(timestamp_ms / HOP_MS));
    expect(hops).toEqual(hops.map((_, index) => (hops[0] ?? 0) + index));
  });

  test('ends with the agent, however that ends, and both ports are free', async () => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await using daemon = await Daemon.start();
      expect(await daemon.infer()).toBe(200);
      const server = daemon.modelServerPid ?? 0;
      const processes = [...childPids(daemon.agent.child.pid ?? 0), ...childPids(server)];
      expect(processes).toContain(server);
      await daemon.agent.end(signal);
      await expect.poll(() => living(processes)).toEqual([]);
      for (const url of [daemon.url, daemon.servingUrl]) expect(await refuses(Number(new URL(url).port))).toBe(true);
    }
  });

  test('a request that waits for the agent fails alone when the model server is killed, and is answered during a reload', async () => {
    await using daemon = await Daemon.start({
      models: { serve: 'all', limits: { echo: { host: 'main', maxDelay: '1500ms' } } },
    });
    await expect.poll(() => daemon.infer().catch(() => 0)).toBe(200);
    const before = daemon.servingUrl;
    const asked = daemon.infer().catch(() => 0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    process.kill(daemon.modelServerPid ?? 0, 'SIGKILL');
    expect(await asked).not.toBe(200);
    await expect.poll(() => daemon.servingUrl).not.toBe(before);
    await expect.poll(() => daemon.infer().catch(() => 0)).toBe(200);
    const askedAgain = daemon.infer().catch(() => 0);
    daemon.agent.child.kill('SIGHUP');
    expect(await askedAgain).toBe(200);
    expect(await daemon.agent.end('SIGTERM')).toBe(0);
    expect(daemon.agent.stderr).toBe('');
  });

  test('a version is not removed while the model server does not report whether clients use it', async () => {
    const authorization = 'Bearer secret';
    await using daemon = await Daemon.start({ http: { adminToken: { env: 'TOKEN' } } }, { TOKEN: 'secret' });
    for (const version of [1, 2]) daemon.plant.addModel({ ...echo(version), name: 'other' });
    const load = await fetch(`${daemon.servingUrl}/v2/repository/models/other@1/load`, {
      method: 'POST',
      headers: { authorization },
    });
    expect(load.status).toBe(200);
    const remove = async () =>
      (await fetch(`${daemon.url}/api/v1/models/other/versions/1`, { method: 'DELETE', headers: { authorization } }))
        .status;
    expect(await remove()).toBe(409);
    const server = daemon.modelServerPid ?? 0;
    process.kill(server, 'SIGSTOP');
    const status = await remove();
    process.kill(server, 'SIGCONT');
    expect(status).toBe(503);
  });

  test('is replaced if it hangs; until then the agent answers on its own port', async () => {
    await using daemon = await Daemon.start();
    expect(await daemon.infer()).toBe(200);
    const before = daemon.modelServerPid;
    process.kill(before ?? 0, 'SIGSTOP');
    for (const path of ['/healthz', '/api/v1/watches', '/api/v1/models', '/metrics'])
      expect({ path, status: (await fetch(daemon.url + path)).status }).toEqual({ path, status: 200 });
    expect(daemon.modelServerPid).toBe(before);
    await expect.poll(() => daemon.modelServerPid).not.toBe(before);
    await expect.poll(() => daemon.infer().catch(() => 0)).toBe(200);
    expect(daemon.agent.stderr).toBe('');
  });

  test('keeps running in a reload that changes none of its settings, and starts again with another one', async () => {
    await using daemon = await Daemon.start({ http: { adminToken: { env: 'TOKEN' } } }, { TOKEN: 'secret' });
    expect(await daemon.infer()).toBe(200);
    const before = { pid: daemon.modelServerPid, url: daemon.servingUrl };
    // This client would stay connected for as long as it may.
    const events = await fetch(`${daemon.url}/api/v1/events`);
    const reloads = () => daemon.agent.log.filter(({ msg }) => msg === 'The new configuration is in use.').length;
    daemon.agent.child.kill('SIGHUP');
    await expect.poll(reloads).toBe(1);
    expect(daemon.modelServerPid).toBe(before.pid);
    const { configFile } = daemon.folder;
    const config = parse(readFileSync(configFile, 'utf8')) as { readonly serving: object; readonly watches: object };
    // A watch of a model that clients use.
    daemon.plant.addModel({ ...echo(1), name: 'other' });
    const repository = async (act: string) => {
      const headers = { authorization: 'Bearer secret' };
      return (await fetch(`${daemon.servingUrl}/v2/repository/models/other/${act}`, { method: 'POST', headers }))
        .status;
    };
    expect([await repository('load'), await repository('unload'), await repository('load')]).toEqual([200, 200, 200]);
    const more = { model: 'other', tags: ['level'], window: { step: '250ms', maxAge: '10s' } };
    const text = stringify({ ...config, watches: { ...config.watches, more }, log: { level: 'debug' } });
    writeFileSync(configFile, text);
    daemon.agent.child.kill('SIGHUP');
    await expect.poll(reloads).toBe(2);
    expect(daemon.modelServerPid).toBe(before.pid);
    await expect.poll(() => repository('unload')).toBe(409);
    writeFileSync(configFile, stringify({ ...config, serving: { ...config.serving, maxBody: '20MB' } }));
    daemon.agent.child.kill('SIGHUP');
    await expect.poll(reloads).toBe(3);
    await events.body?.cancel().catch(() => undefined);
    await expect.poll(() => daemon.servingUrl).not.toBe(before.url);
    expect(await daemon.infer()).toBe(200);
    expect(daemon.modelServerPid).not.toBe(before.pid);
  });

  test('its models follow the version that is active', async () => {
    const headers = { authorization: 'Bearer secret', 'content-type': 'application/gzip' };
    await using daemon = await Daemon.start({ http: { adminToken: { env: 'TOKEN' } } }, { TOKEN: 'secret' });
    expect(await daemon.infer()).toBe(200);
    const installed = await fetch(`${daemon.url}/api/v1/models/install?activate=true`, {
      method: 'POST',
      headers,
      body: Uint8Array.from(packageArchive(echo(2))),
    });
    expect(await installed.json()).toMatchObject({ model: 'echo', version: 2, activated: { previous: 1 } });
    const versions = async () =>
      ((await (await fetch(`${daemon.servingUrl}/v2/models/echo`)).json()) as { versions: unknown }).versions;
    await expect.poll(versions).toEqual(['2']);
  });

  test('requires the token of section http, or its own', async () => {
    const env = { AGENT: 'agent', SERVING: 'serving' };
    const http = { token: { env: 'AGENT' } };
    for (const [serving, token, other] of [
      [{}, 'agent', 'serving'],
      [{ token: { env: 'SERVING' } }, 'serving', 'agent'],
    ] as const) {
      await using daemon = await Daemon.start({ http, serving }, env);
      const statusOf = async (path: string, headers: Record<string, string> = {}) =>
        (await fetch(daemon.servingUrl + path, { headers })).status;
      const authorization = `Bearer ${token}`;
      expect(await statusOf('/v2/models/echo')).toBe(401);
      expect(await statusOf('/v2/models/echo', { authorization: `Bearer ${other}` })).toBe(401);
      expect(await statusOf('/v2/models/echo', { authorization, origin: 'http://elsewhere.example' })).toBe(403);
      expect(await statusOf('/v2/models/echo', { authorization })).toBe(200);
      expect(await statusOf('/v2/health/live')).toBe(200);
      // The agent's own port tells no stranger the address.
      expect((await fetch(`${daemon.url}/v2/models/echo`)).status).toBe(401);
    }
  });

  test('a model that shares its host with watches runs in that host for clients too', async () => {
    await using daemon = await Daemon.start({ models: { limits: { echo: { host: 'shared' } }, serve: 'all' } });
    await expect.poll(() => daemon.infer().catch(() => 0)).toBe(200);
    expect(childPids(daemon.modelServerPid ?? 0)).toEqual([]);
    expect(await daemon.component('inference/shared')).toMatchObject({ status: 'ok' });
    const { model_stats: stats } = (await (await fetch(`${daemon.servingUrl}/v2/models/stats`)).json()) as {
      readonly model_stats: readonly { readonly name: string }[];
    };
    expect(stats.map(({ name }) => name)).toEqual(['echo']);
  });

  test('retries an address that is in use, and reports it', async () => {
    const holder = createServer();
    await once(holder.listen(0, '127.0.0.1'), 'listening');
    const { port } = holder.address() as AddressInfo;
    await using daemon = await Daemon.startAgent({ serving: { listen: `127.0.0.1:${port}` } });
    await expect
      .poll(() => daemon.component('serving/http'))
      .toMatchObject({ status: 'degraded', reason: expect.stringMatching(/EADDRINUSE/) as string });
    await new Promise((resolve) => holder.close(resolve));
    await daemon.agent.logged(({ msg }) => msg === 'The model server listens.');
    expect(await daemon.infer()).toBe(200);
    await expect.poll(() => daemon.component('serving/http')).toMatchObject({ status: 'ok' });
  });
});

function echo(version: number) {
  return {
    name: 'echo',
    version,
    bytes: meanModel(1, 1),
    steps: 1,
    tags: 1,
    golden: [{ window: [0.5], score: 0.5 }],
  };
}

async function refuses(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}
