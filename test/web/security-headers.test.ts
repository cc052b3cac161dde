import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AccessServer } from './access-server.ts';

/* Every answer has the security headers, also those that Node and Fastify give before any route. */
let server: AccessServer;
let url: string;

beforeEach(async () => {
  server = new AccessServer();
  url = await server.start({ requestTimeout: '300ms' });
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

/** Sends bytes and returns the whole answer, until the server closes the connection. */
async function answerTo(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write(bytes);
  return text(socket);
}

const get = (path: string, ...headers: readonly string[]) =>
  ['GET ', path, ' HTTP/1.1\r\n', ...headers.map((header) => `${header}\r\n`), 'connection: close\r\n\r\n'].join('');
const HOST = 'host: 127.0.0.1';

test.each([
  ['an answer', get('/open', HOST), 200],
  ['a refusal', get('/api/v1/accounts', HOST), 401],
  ['a path without a route', get('/nowhere', HOST), 404],
  ['a path that cannot be decoded', get('/%', HOST), 400],
  ['a path that is not UTF-8', get('/api/%ff', HOST), 400],
  [
    'a wrong body',
    'POST /api/v1/login HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n{',
    400,
  ],
  [
    'a body of an unknown type',
    'POST /api/v1/login HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: text/xml\r\ncontent-length: 1\r\n\r\n<',
    415,
  ],
  [
    'half a body',
    'POST /api/v1/login HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{',
    408,
  ],
  ['what is not HTTP', 'hello\r\n\r\n', 400],
  ['two lengths', 'POST /open HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab', 400],
  ['headers that are too large', get('/open', HOST, `x-large: ${'x'.repeat(100_000)}`), 431],
  ['no Host', get('/open'), 400],
  ['two Hosts', get('/open', HOST, 'host: evil.example'), 400],
  ['an unknown expectation', get('/open', HOST, 'expect: the-unexpected'), 200],
])('%s', async (_title, bytes, status) => {
  const answer = await answerTo(bytes);
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  const headers = answer.slice(0, answer.indexOf('\r\n\r\n')).toLowerCase();
  for (const header of [
    "content-security-policy: default-src 'none'",
    'x-content-type-options: nosniff',
    'x-frame-options: sameorigin',
    'referrer-policy: no-referrer',
    'cache-control: no-store',
  ])
    expect(headers).toContain(`\r\n${header}`);
  // Refusals are JSON, as those of a route are.
  expect(JSON.parse(answer.slice(answer.indexOf('{')))).toBeTypeOf('object');
});
