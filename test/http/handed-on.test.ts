import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { Daemon } from '../support/serving-daemon.ts';

/* Everything but models is the agent's own process to answer, also where its gateway has the port. */

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

  test('may be sent ahead of the answers, and the connection is kept as long as any', { timeout: 30_000 }, async () => {
    await using daemon = await Daemon.start({ http: { requestTimeout: '500ms' } });
    expect(await daemon.infer()).toBe(200);
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(daemon.url).port) });
    let answers = '';
    socket.on('data', (data: Buffer) => (answers += data.toString()));
    const count = () => answers.split('HTTP/1.1 200 OK').length - 1;
    await once(socket, 'connect');
    const health = 'GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n';
    socket.write(health.repeat(300));
    await expect.poll(count, { timeout: 10_000 }).toBe(300);
    // Longer than a connection may be silent that owes a request.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    socket.write(health);
    await expect.poll(count).toBe(301);
    socket.destroy();
  });

  test('comes from where it came from, whatever it says and however it leaves', async () => {
    await using daemon = await Daemon.start({ http: { adminToken: { env: 'TOKEN' } } }, { TOKEN: token });
    const port = Number(new URL(daemon.url).port);
    const pin = ['POST /api/v1/models/echo/unpin HTTP/1.1', 'host: 127.0.0.1', `authorization: ${authorization}`];
    const forged = [...pin, 'x-forwarded-for: 192.0.2.7', 'x-andon-client-address: 192.0.2.7', '', ''].join('\r\n');
    for (const phase of ['without gateway', 'with it']) {
      if (phase === 'with it') await daemon.infer();
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
