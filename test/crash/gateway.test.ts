import { once } from 'node:events';
import { Agent, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { childPids, inferenceHostPids, living } from '../support/crash-children.ts';
import { outboxRecords } from '../support/crash-receipts.ts';
import { packageArchive } from '../support/model-packages.ts';
import { meanModel } from '../support/onnx-models.ts';

import { Daemon, HOP_MS, INFER, inferBody } from '../support/serving-daemon.ts';

/*
 * A running daemon, and clients who ask its models. Invariant: whoever asks for anything gets it by the one address, whatever
 * process has it, and whatever becomes of the gateway costs no window.
 */
describe('the gateway', () => {
  test('is started by the first who asks for a model, and takes the port without turning anybody away', async () => {
    await using daemon = await Daemon.start();
    using connection = new Connection(daemon.url);
    expect((await connection.ask('GET', '/healthz')).status).toBe(200);
    expect(daemon.gatewayPid).toBeUndefined();
    // On the connection to the agent's own process; the next connection comes to the gateway itself.
    const first = await connection.ask('POST', INFER, inferBody);
    expect(first).toMatchObject({ status: 200, connection: 'close' });
    expect(daemon.gatewayPid).toBeDefined();
    expect(await connection.ask('POST', INFER, inferBody)).toMatchObject({ status: 200, connection: 'keep-alive' });
    for (const path of ['/healthz', '/api/v1/watches', '/metrics', '/', '/api/v1/openapi.json'])
      expect({ path, ...(await connection.ask('GET', path)) }).toMatchObject({ path, status: 200 });
    expect(await connection.ask('GET', '/nothing')).toMatchObject({ status: 404 });
    expect(await connection.ask('GET', '/v2/nothing')).toMatchObject({ status: 404 });
    expect(daemon.agent.stderr).toBe('');
  }, 30_000);

  test('a hundred who come at once, while it starts, are all answered', async () => {
    await using daemon = await Daemon.start();
    const statuses = await Promise.all(Array.from({ length: 100 }, () => daemon.infer()));
    expect(new Set(statuses)).toEqual(new Set([200]));
  }, 30_000);

  test('when it is killed nothing else is: it comes back, the counts go on, and no window is lost', async () => {
    await using daemon = await Daemon.start({ models: { serve: 'all' } });
    await expect.poll(() => daemon.infer().catch(() => 0), { timeout: 20_000 }).toBe(200);
    for (let count = 0; count < 20; count += 1) expect(await daemon.infer()).toBe(200);
    const answered = () => daemon.metric('andon_http_request_duration_seconds_count', 'status="200"', ':model/infer');
    expect(await answered()).toBe(21);
    for (let kills = 0; kills < 3; kills += 1) {
      const victim = daemon.gatewayPid ?? 0;
      const hosts = inferenceHostPids(daemon.agent.child.pid ?? 0);
      process.kill(victim, 'SIGKILL');
      await expect
        .poll(() => daemon.component('http/gateway').catch(() => undefined), { timeout: 5_000 })
        .toMatchObject({ status: 'degraded', reason: expect.stringMatching(/SIGKILL/) as string });
      await expect.poll(() => daemon.infer().catch(() => 0), { timeout: 20_000 }).toBe(200);
      expect(daemon.gatewayPid).not.toBe(victim);
      expect(await daemon.component('http/gateway')).toMatchObject({ status: 'ok' });
      // The one of the watches lives on; the others have ended with the gateway.
      expect(living(hosts)).toHaveLength(1);
      expect(await answered()).toBe(22 + kills);
    }
    expect(await daemon.agent.end('SIGTERM')).toBe(0);
    expect(daemon.agent.stderr).toBe('');
    const verdicts = (await outboxRecords(daemon.folder)).filter(({ kind }) => kind === 'verdict').slice(1);
    const judged = verdicts.slice(verdicts.findIndex(({ verdict }) => verdict === 'normal'));
    expect(judged.filter(({ verdict }) => verdict !== 'normal')).toEqual([]);
    const hops = judged.map(({ timestamp_ms }) => Math.round(timestamp_ms / HOP_MS));
    expect(hops).toEqual(hops.map((_, index) => (hops[0] ?? 0) + index));
  }, 60_000);

  test('ends with the agent, however that ends, and leaves the port free', async () => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await using daemon = await Daemon.start();
      expect(await daemon.infer()).toBe(200);
      const { port } = new URL(daemon.url);
      const gateway = daemon.gatewayPid ?? 0;
      const processes = [...childPids(daemon.agent.child.pid ?? 0), ...childPids(gateway)];
      expect(processes).toContain(gateway);
      await daemon.agent.end(signal);
      await expect.poll(() => living(processes), { timeout: 10_000 }).toEqual([]);
      expect(await refuses(Number(port))).toBe(true);
    }
  }, 60_000);

  test('a request that waits for the agent costs nothing but itself when the gateway is killed, or the agent reads its configuration anew', async () => {
    await using daemon = await Daemon.start({
      models: { serve: 'all', limits: { echo: { host: 'main', maxDelay: '700ms' } } },
      http: { listen: `127.0.0.1:${await freePort()}` },
    });
    await expect.poll(() => daemon.infer().catch(() => 0), { timeout: 20_000 }).toBe(200);
    for (const interrupt of [
      () => process.kill(daemon.gatewayPid ?? 0, 'SIGKILL'),
      () => daemon.agent.child.kill('SIGHUP'),
    ]) {
      const asked = daemon.infer().catch(() => 0);
      await new Promise((resolve) => setTimeout(resolve, 200));
      interrupt();
      expect(await asked).not.toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await expect.poll(() => daemon.infer().catch(() => 0), { timeout: 20_000 }).toBe(200);
    }
    expect(await daemon.agent.end('SIGTERM')).toBe(0);
    expect(daemon.agent.stderr).toBe('');
  }, 60_000);

  test('a version that clients use is not removed while nobody can say that they do', async () => {
    const authorization = 'Bearer secret';
    await using daemon = await Daemon.start({ http: { adminToken: { env: 'TOKEN' } } }, { TOKEN: 'secret' });
    daemon.plant.addModel({
      name: 'other',
      bytes: meanModel(1, 1),
      steps: 1,
      tags: 1,
      golden: [{ window: [0.5], score: 0.5 }],
    });
    daemon.plant.addModel({
      name: 'other',
      version: 2,
      bytes: meanModel(1, 1),
      steps: 1,
      tags: 1,
      golden: [{ window: [0.5], score: 0.5 }],
    });
    using connection = new Connection(daemon.url);
    expect(await connection.ask('GET', '/healthz')).toMatchObject({ status: 200 });
    const load = await fetch(`${daemon.url}/v2/repository/models/other@1/load`, {
      method: 'POST',
      headers: { authorization },
    });
    expect(load.status).toBe(200);
    const remove = () => connection.ask('DELETE', '/api/v1/models/other/versions/1', undefined, { authorization });
    expect(await remove()).toMatchObject({ status: 409 });
    const gateway = daemon.gatewayPid ?? 0;
    process.kill(gateway, 'SIGSTOP');
    const { status } = await remove();
    process.kill(gateway, 'SIGCONT');
    expect(status).toBe(503);
  }, 30_000);

  test('a gateway that hangs is replaced', async () => {
    await using daemon = await Daemon.start();
    expect(await daemon.infer()).toBe(200);
    const before = daemon.gatewayPid;
    process.kill(before ?? 0, 'SIGSTOP');
    await expect.poll(() => daemon.gatewayPid, { timeout: 20_000 }).not.toBe(before);
    await expect.poll(() => daemon.infer().catch(() => 0), { timeout: 20_000 }).toBe(200);
    expect(daemon.agent.stderr).toBe('');
  }, 60_000);

  test('a configuration that is read anew has a gateway of its own', async () => {
    await using daemon = await Daemon.start({ http: { listen: `127.0.0.1:${await freePort()}` } });
    expect(await daemon.infer()).toBe(200);
    const before = daemon.gatewayPid;
    // One who listens for as long as he may.
    const listener = await fetch(`${daemon.url}/api/v1/events`);
    const askedMs = performance.now();
    daemon.agent.child.kill('SIGHUP');
    await daemon.agent.logged(({ msg }) => msg === 'The new configuration is in use.');
    expect(performance.now() - askedMs).toBeLessThan(2_500);
    await listener.body?.cancel().catch(() => undefined);
    expect(await daemon.component('http/gateway')).toBeUndefined();
    expect(await daemon.infer()).toBe(200);
    expect(await daemon.metric('andon_http_request_duration_seconds_count', ':model/infer')).toBe(2);
    expect(daemon.gatewayPid).not.toBe(before);
    expect(await daemon.component('http/gateway')).toMatchObject({ status: 'ok' });
    expect(await daemon.component('inference/clients')).toMatchObject({ status: 'ok' });
  }, 30_000);

  test('what goes through it arrives as it was sent: events, packages, and who sent them', async () => {
    const token = 'a secret for the admin';
    await using daemon = await Daemon.start({ http: { adminToken: { env: 'TOKEN' } } }, { TOKEN: token });
    expect(await daemon.infer()).toBe(200);
    const events = await fetch(`${daemon.url}/api/v1/events`);
    const reader = events.body?.pipeThrough(new TextDecoderStream()).getReader();
    let heard = '';
    while (!heard.includes('event: verdict')) heard += (await reader?.read())?.value ?? 'the end event: verdict';
    expect(heard).not.toContain('the end');
    await reader?.cancel();
    // Nobody listens any more: the agent's own process has noticed.
    await expect
      .poll(async () => (await (await fetch(`${daemon.url}/metrics`)).text()).includes('andon_http_event_clients 0'))
      .toBe(true);

    const version = {
      name: 'echo',
      version: 2,
      bytes: meanModel(1, 1),
      steps: 1,
      tags: 1,
      golden: [{ window: [0.5], score: 0.5 }],
    };
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/gzip',
      'x-forwarded-for': '192.0.2.7',
    };
    const archive = Uint8Array.from(packageArchive(version));
    const installed = await fetch(`${daemon.url}/api/v1/models/install?activate=true`, {
      method: 'POST',
      headers,
      body: archive,
    });
    expect(await installed.json()).toMatchObject({ model: 'echo', version: 2, activated: { previous: 1 } });
    const audit = await fetch(`${daemon.url}/api/v1/models/audit`, { headers });
    const { entries } = (await audit.json()) as { readonly entries: readonly { readonly actor: string }[] };
    expect(new Set(entries.map(({ actor }) => actor))).toEqual(new Set(['http:127.0.0.1']));
    // The clients' copy follows.
    const served = async () =>
      ((await (await fetch(`${daemon.url}/v2/models/echo`)).json()) as { versions: unknown }).versions;
    await expect.poll(served, { timeout: 20_000 }).toEqual(['2']);
  }, 60_000);

  test('lets in nobody whom the agent would not', async () => {
    await using daemon = await Daemon.start({ http: { token: { env: 'TOKEN' } } }, { TOKEN: 'secret' });
    const statusOf = async (path: string, headers: Record<string, string> = {}) =>
      (await fetch(daemon.url + path, { headers })).status;
    const authorization = 'Bearer secret';
    // Strangers start no process.
    expect(await statusOf('/v2/models/echo')).toBe(401);
    expect(daemon.gatewayPid).toBeUndefined();
    expect(await statusOf('/v2/models/echo', { authorization })).toBe(200);
    expect(daemon.gatewayPid).toBeDefined();
    for (const path of ['/v2/models/echo', '/api/v1/watches']) {
      expect(await statusOf(path)).toBe(401);
      expect(await statusOf(path, { authorization: 'Bearer another' })).toBe(401);
      expect(await statusOf(path, { authorization, origin: 'http://elsewhere.example' })).toBe(403);
      expect(await statusOf(path, { authorization })).toBe(200);
    }
    expect(await statusOf('/v2/health/live')).toBe(200);
  }, 30_000);

  test('a model that shares its host with watches runs in that, for clients too', async () => {
    await using daemon = await Daemon.start({ models: { limits: { echo: { host: 'shared' } }, serve: 'all' } });
    await expect.poll(() => daemon.infer().catch(() => 0), { timeout: 20_000 }).toBe(200);
    const gateway = daemon.gatewayPid ?? 0;
    expect(childPids(gateway)).toEqual([]);
    expect(await daemon.component('inference/shared')).toMatchObject({ status: 'ok' });
    const { model_stats: stats } = (await (await fetch(`${daemon.url}/v2/models/stats`)).json()) as {
      readonly model_stats: readonly { readonly name: string }[];
    };
    expect(stats.map(({ name }) => name)).toEqual(['echo']);
  }, 30_000);
});

/** One connection that is kept as long as the server keeps it. */
class Connection implements Disposable {
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(url: string) {
    this.#url = url;
  }

  async ask(
    method: string,
    path: string,
    sent?: string,
    headers: Record<string, string> = {},
  ): Promise<{ readonly status: number; readonly connection: string }> {
    const asked = request(this.#url + path, { method, headers, agent: this.#agent });
    asked.end(sent);
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    await readText(answer);
    return { status: answer.statusCode ?? 0, connection: answer.headers.connection ?? '' };
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
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
