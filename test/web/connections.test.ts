import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { metricValue } from '../support/test-deps.ts';
import { AccessServer, bearer, LOCAL_TOKEN, logIn, tokenOf } from './access-server.ts';

/* Connections of strangers against users and health checks. */

let server: AccessServer;
const sockets: Socket[] = [];

beforeEach(() => {
  server = new AccessServer();
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server[Symbol.asyncDispose]();
});

/** Opens a connection from another loopback address, and sends some bytes. */
async function open(url: string, text = '', localAddress = '127.0.0.1'): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname, localAddress });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  if (text !== '') socket.write(text);
  return socket;
}

describe('a thousand connections of strangers keep neither a user nor a health check out', () => {
  test.each([
    ['idle', ''],
    ['with half a header', 'GET /healthz HTTP/1.1\r\nhost: 127.'],
    [
      'with half a body',
      'POST /api/v1/login HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{',
    ],
  ])('%s', async (_name, text) => {
    await server.writeUsers();
    const url = await server.start({ users: true, maxConnections: 100 });
    const { cookie } = await logIn(url, 'operator');
    // From sixteen addresses: an address alone has half of the places at most.
    for (let index = 0; index < 1_000; index += 1) await open(url, text, `127.0.0.${2 + (index % 16)}`);
    expect((await fetch(`${url}/open`)).status).toBe(200);
    expect((await fetch(`${url}/operate`, { method: 'POST', headers: { cookie } })).status).toBe(200);
    expect((await logIn(url, 'engineer')).answer.status).toBe(200);
    expect(await metricValue(server.deps, 'andon_http_connections')).toBeLessThanOrEqual(100);
    expect(await metricValue(server.deps, 'andon_http_connections_replaced_total')).toBeGreaterThan(800);
  });
});

test('connections without a login on a loopback address give way, too', async () => {
  const url = await server.start({ maxConnections: 10 });
  for (let index = 0; index < 10; index += 1) {
    const socket = await open(url, 'GET /view HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
    await once(socket, 'data');
  }
  expect((await fetch(`${url}/open`, { headers: bearer(LOCAL_TOKEN) })).status).toBe(200);
});

test('the connection of a user stays while strangers come and go', async () => {
  await server.writeUsers();
  const url = await server.start({ users: true, maxConnections: 10 });
  const known = await open(url);
  const ask = async (): Promise<string> => {
    known.write(`GET /view HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${tokenOf('viewer')}\r\n\r\n`);
    return String((await once(known, 'data'))[0]);
  };
  expect(await ask()).toMatch(/^HTTP\/1.1 200/);
  for (let index = 0; index < 50; index += 1) await open(url, '', `127.0.0.${2 + index}`);
  expect(await ask()).toMatch(/^HTTP\/1.1 200/);
});

test('an address has half of the places for connections without a login', async () => {
  await server.writeUsers();
  const url = await server.start({ users: true, maxConnections: 10 });
  const other = await open(url, '', '127.0.0.9');
  for (let index = 0; index < 30; index += 1) await open(url);
  await expect.poll(() => metricValue(server.deps, 'andon_http_connections')).toBe(6);
  expect(other.destroyed).toBe(false);
});

test('when all places are taken by users, the longest idle one gives way', async () => {
  await server.writeUsers();
  const url = await server.start({ users: true, maxConnections: 2 });
  for (let index = 0; index < 2; index += 1) {
    const socket = await open(url);
    socket.write(`GET /view HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${tokenOf('viewer')}\r\n\r\n`);
    await once(socket, 'data');
  }
  expect((await fetch(`${url}/view`, { headers: bearer(tokenOf('viewer')) })).status).toBe(200);
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, false]);
});

test('a connection with half a header is closed', async () => {
  const url = await server.start({ requestTimeout: '100ms' });
  const socket = await open(url, 'GET /healthz HTTP/1.1\r\nhost: 127.');
  await once(socket, 'close');
  expect(socket.destroyed).toBe(true);
});
