import { once } from 'node:events';
import { Agent, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { childPids, gatewayPid, inferenceHostPids, living } from '../support/crash-children.ts';
import { CrashPlant } from '../support/crash-plant.ts';
import { outboxRecords } from '../support/crash-receipts.ts';
import { packageArchive } from '../support/model-packages.ts';
import { meanModel } from '../support/onnx-models.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

/*
 * A running daemon, and visitors who ask its models. Invariant: whoever asks for anything gets it by the one address, whatever
 * process has it, and whatever becomes of the gateway costs no window.
 */
const HOP_MS = 50;
const INFER = '/v2/models/echo/infer';
const body = JSON.stringify({ inputs: [{ name: 'window', datatype: 'FP32', shape: [1, 1, 1], data: [7] }] });

/** An agent with one watch, and what a test may want of it. */
class Daemon implements AsyncDisposable {
  readonly plant: CrashPlant;
  readonly folder = new AgentFolder();
  #agent: AgentProcess | undefined;

  private constructor(plant: CrashPlant) {
    this.plant = plant;
  }

  static async start(
    sections: { readonly models?: object; readonly http?: object } = {},
    env: NodeJS.ProcessEnv = {},
  ): Promise<Daemon> {
    const daemon = new Daemon(await CrashPlant.start());
    const { sources, models } = daemon.plant.sections('500ms');
    const watch = { model: 'echo', tags: ['level'], window: { step: `${HOP_MS}ms`, maxAge: '10s' } };
    const http = { listen: '127.0.0.1:0', ...sections.http };
    daemon.folder.configure({ sources, models: { ...models, ...sections.models }, watches: { level: watch }, http });
    daemon.#agent = await AgentProcess.start(daemon.folder.configFile, env);
    return daemon;
  }

  get agent(): AgentProcess {
    if (this.#agent === undefined) throw new Error('the agent was not started');
    return this.#agent;
  }

  get url(): string {
    return this.agent.httpUrl;
  }

  get gatewayPid(): number | undefined {
    return gatewayPid(this.agent.child.pid ?? 0);
  }

  /** @returns The status; where that is 200, the answer was right. */
  async infer(): Promise<number> {
    const answer = await fetch(this.url + INFER, { method: 'POST', body });
    const { outputs } = (await answer.json()) as { readonly outputs?: readonly [{ readonly data: readonly number[] }] };
    if (answer.ok && outputs?.[0].data[0] !== 7) throw new Error(`7 came back as ${JSON.stringify(outputs)}`);
    return answer.status;
  }

  /** A component of its health. */
  async component(name: string): Promise<{ readonly status: string; readonly reason: string } | undefined> {
    const { components } = (await (await fetch(`${this.url}/healthz`)).json()) as {
      readonly components: readonly { readonly name: string; readonly status: string; readonly reason: string }[];
    };
    return components.find((component) => component.name === name);
  }

  /** Sum over every sample of a metric with these labels. */
  async metric(name: string, ...labels: readonly string[]): Promise<number> {
    const lines = (await (await fetch(`${this.url}/metrics`)).text()).split('\n');
    const found = lines.filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)));
    return found.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
    await this.plant[Symbol.asyncDispose]();
  }
}

describe('what is handed on', () => {
  const token = 'a secret for the admin';
  const authorization = `Bearer ${token}`;

  test('is taken as it would be without a gateway, or refused as it would be', async () => {
    await using daemon = await Daemon.start({ http: { adminToken: { env: 'TOKEN' } } }, { TOKEN: token });
    const asked = [
      // Fields that are between neighbours: no field of a client's may be one that Node refuses to send.
      'GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\ntrailer: x\r\nte: trailers\r\nupgrade: h2c\r\nconnection: upgrade, content-length',
      'GET /v2/health/live HTTP/1.1\r\nhost: 127.0.0.1\r\ntrailer: x',
      // Paths that mean another one.
      'GET http://127.0.0.1/v2 HTTP/1.1\r\nhost: 127.0.0.1',
      'GET /%762 HTTP/1.1\r\nhost: 127.0.0.1',
      'GET /v2/nothing HTTP/1.1\r\nhost: 127.0.0.1',
      'GET /healthz HTTP/1.0',
      'HEAD /healthz HTTP/1.1\r\nhost: 127.0.0.1',
      'OPTIONS / HTTP/1.1\r\nhost: 127.0.0.1',
      // Bodies in chunks where others have none, and none where others have one.
      `DELETE /api/v1/models/echo/versions/9 HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: ${authorization}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
      `POST /api/v1/models/echo/unpin HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: ${authorization}`,
      'GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      // The body does not come: what is known without it is said.
      'POST /api/v1/models/install HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/gzip\r\ncontent-length: 30000000\r\n\r\nx',
      'POST /api/v1/alarms/level/acknowledge HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 30000000\r\n\r\n{',
    ];
    const port = Number(new URL(daemon.url).port);
    const answers = async () => {
      const found: string[] = [];
      for (const text of asked) found.push(`${text.slice(0, 60)}: ${await firstLine(port, text)}`);
      return found;
    };
    const without = await answers();
    // By now the gateway runs: one of them was for it. Each is asked by a connection of its own.
    expect(await daemon.infer()).toBe(200);
    expect(await answers()).toEqual(without);
    expect(without.filter((line) => / 50\d /.test(line))).toEqual([]);
    expect(await daemon.agent.end('SIGTERM')).toBe(0);
    expect(daemon.agent.stderr).toBe('');
  }, 60_000);

  test('comes from where it came from, whatever it says and however it leaves', async () => {
    await using daemon = await Daemon.start({ http: { adminToken: { env: 'TOKEN' } } }, { TOKEN: token });
    const port = Number(new URL(daemon.url).port);
    const pin = ['POST /api/v1/models/echo/unpin HTTP/1.1', 'host: 127.0.0.1', `authorization: ${authorization}`];
    const forged = [...pin, 'x-forwarded-for: 192.0.2.7', 'x-andon-client-address: 192.0.2.7', '', ''].join('\r\n');
    for (const phase of ['without', 'with']) {
      if (phase === 'with') expect(await daemon.infer()).toBe(200);
      for (let count = 0; count < 20; count += 1) {
        const socket = connect({ host: '127.0.0.1', port });
        await once(socket, 'connect');
        socket.write(forged);
        if (count % 2 === 0) await once(socket, 'data');
        socket.resetAndDestroy();
      }
    }
    const audit = await fetch(`${daemon.url}/api/v1/models/audit`, { headers: { authorization } });
    const { entries } = (await audit.json()) as { readonly entries: readonly { readonly actor: string }[] };
    expect(entries.length).toBeGreaterThanOrEqual(20);
    expect(entries.filter(({ actor }) => !['http:127.0.0.1', 'http:unknown'].includes(actor))).toEqual([]);
  }, 30_000);
});

describe('the gateway', () => {
  test('is started by the first who asks for a model, and takes the port without turning anybody away', async () => {
    await using daemon = await Daemon.start();
    using connection = new Connection(daemon.url);
    expect((await connection.ask('GET', '/healthz')).status).toBe(200);
    expect(daemon.gatewayPid).toBeUndefined();
    // On the connection to the agent's own process; the next connection comes to the gateway itself.
    const first = await connection.ask('POST', INFER, body);
    expect(first).toMatchObject({ status: 200, connection: 'close' });
    expect(daemon.gatewayPid).toBeDefined();
    expect(await connection.ask('POST', INFER, body)).toMatchObject({ status: 200, connection: 'keep-alive' });
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

  test('a version that visitors use is not removed while nobody can say that they do', async () => {
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
    expect(await daemon.component('inference/visitors')).toMatchObject({ status: 'ok' });
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
    // The visitors' copy follows.
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

  test('a model that shares its host with watches runs in that, for visitors too', async () => {
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
    await text(answer);
    return { status: answer.statusCode ?? 0, connection: answer.headers.connection ?? '' };
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/** First line of what a server answers to a request of the client's own making. */
async function firstLine(port: number, sent: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    socket.write(sent.includes('\r\n\r\n') ? sent : `${sent}\r\n\r\n`);
    const [data] = (await once(socket, 'data')) as [Buffer];
    return data.toString().split('\r\n')[0] ?? '';
  } finally {
    socket.destroy();
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
