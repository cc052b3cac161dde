import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { OutgoingHttp, type OutgoingHttpOptions } from '../../../src/protocols/http/outgoing-http.ts';
import { TestCertificates } from '../../support/broker-certificates.ts';
import { HttpProxy } from '../../support/http-proxy.ts';
import { describeWith } from '../../support/programs.ts';

/*
 * A real proxy and real servers. The names exist in the proxy only, so a request that does not go through it fails.
 */
let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
  for (const name of ['http_proxy', 'https_proxy', 'no_proxy']) vi.stubEnv(name, undefined);
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']) vi.stubEnv(name, '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await stack.disposeAsync();
});

async function serve(listener: RequestListener, tls?: TestCertificates['server'], host = '127.0.0.1'): Promise<number> {
  const pem = tls === undefined ? undefined : { cert: readFileSync(tls.cert), key: readFileSync(tls.key) };
  const server = pem === undefined ? createServer(listener) : createTlsServer(pem, listener);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  stack.defer(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

async function proxyFor(hosts: Readonly<Record<string, number>>): Promise<HttpProxy> {
  return stack.use(await new HttpProxy(hosts).listen());
}

async function get(url: string, options: Partial<OutgoingHttpOptions> = {}, http = client(options)): Promise<string> {
  const { origin, pathname } = new URL(url);
  const { statusCode, body } = await http.request({ origin, path: pathname, method: 'GET' });
  return `${statusCode} ${await body.text()}`;
}

function client(options: Partial<OutgoingHttpOptions> = {}): OutgoingHttp {
  const http = new OutgoingHttp({ tls: {}, connectTimeoutMs: 60_000, connections: 1, ...options });
  stack.defer(() => http.destroy());
  return http;
}

test('HTTP_PROXY gets requests for http with the whole URL, on one kept connection', async () => {
  const proxy = await proxyFor({ 'lake.example': await serve((_, response) => response.end('stored')) });
  vi.stubEnv('HTTP_PROXY', proxy.url);
  const http = client();
  expect(await get('http://lake.example/a', {}, http)).toBe('200 stored');
  expect(await get('http://lake.example/b', {}, http)).toBe('200 stored');
  expect(proxy.requests.map(({ line }) => line)).toEqual(['GET http://lake.example/a', 'GET http://lake.example/b']);
  expect(http.connectionsOpened).toBe(1);
});

test('the limits of a request also hold through a proxy', async () => {
  const proxy = await proxyFor({ 'lake.example': await serve((_, response) => response.end('x'.repeat(1000))) });
  vi.stubEnv('HTTP_PROXY', proxy.url);
  await expect(get('http://lake.example/', { responseBytesMax: 999 })).rejects.toMatchObject({
    code: 'UND_ERR_RES_EXCEEDED_MAX_SIZE',
  });
});

test('user and password of HTTP_PROXY are sent to the proxy, and never to the server', async () => {
  let seen: IncomingHttpHeaders = {};
  const port = await serve(({ headers }, response) => {
    seen = headers;
    response.end();
  });
  vi.stubEnv('HTTP_PROXY', `http://edge:p%40ss@127.0.0.1:${port}`);
  await get('http://lake.example/');
  expect(seen['proxy-authorization']).toBe(`Basic ${Buffer.from('edge:p@ss').toString('base64')}`);
  expect(seen.authorization).toBeUndefined();
});

test.each([
  ['no name', '', 1],
  ['this host', '127.0.0.2', 0],
  ['another host', '127.0.0.3', 1],
  ['this host at another port', '127.0.0.2:1', 1],
  ['every host', '*', 0],
])('a host in NO_PROXY is reached without the proxy: %s', async (_, noProxy, requests) => {
  const stored: RequestListener = (_request, response) => response.end('stored');
  const port = await serve(stored, undefined, '127.0.0.2');
  const proxied = await serve(stored);
  const proxy = await proxyFor({ [`127.0.0.2:${port}`]: proxied });
  vi.stubEnv('HTTP_PROXY', proxy.url);
  vi.stubEnv('NO_PROXY', noProxy);
  expect(await get(`http://127.0.0.2:${port}/`)).toBe('200 stored');
  expect(proxy.requests.length).toBe(requests);
});

test('this machine is never reached through a proxy, which would connect to itself', async () => {
  const proxy = await proxyFor({});
  vi.stubEnv('HTTP_PROXY', proxy.url);
  const port = await serve((_, response) => response.end('stored'));
  expect(await get(`http://127.0.0.1:${port}/`)).toBe('200 stored');
  expect(proxy.requests).toEqual([]);
});

test.each(['proxy:3128', 'edge:s3cret@proxy:3128', 'http://edge:s3cret@proxy:99999'])(
  'a wrong HTTPS_PROXY is an error without its password: %s',
  async (value) => {
    vi.stubEnv('HTTPS_PROXY', value);
    const error: unknown = await get('https://lake.example/').catch((caught: unknown) => caught);
    expect(String(error)).toContain('HTTPS_PROXY is not a URL such as http://proxy:3128');
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('s3cret');
  },
);

describeWith(['openssl'], 'over TLS', () => {
  const stored: RequestListener = (_, response) => response.end('stored');

  test('HTTPS_PROXY gets a CONNECT, and the certificate of the server is verified with the private authority', async () => {
    const certificates = stack.use(TestCertificates.make());
    const port = await serve(stored, certificates.server);
    const proxy = await proxyFor({ 'lake.example': port, 'other.example': port });
    vi.stubEnv('HTTPS_PROXY', proxy.url);
    const tls = { ca: certificates.ca };
    expect(await get('https://lake.example/', { tls })).toBe('200 stored');
    await expect(get('https://other.example/', { tls })).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
    await expect(get('https://lake.example/')).rejects.toThrow('unable to verify the first certificate');
    expect(new Set(proxy.requests.map(({ line }) => line))).toEqual(
      new Set(['CONNECT lake.example:443', 'CONNECT other.example:443']),
    );
  });

  test('a changed authority applies to the next request', async () => {
    const [former, renewed] = [stack.use(TestCertificates.make()), stack.use(TestCertificates.make())];
    const folder = mkdtempSync(join(tmpdir(), 'andon-authority-'));
    stack.defer(() => rmSync(folder, { recursive: true }));
    const ca = join(folder, 'ca.pem');
    copyFileSync(former.ca, ca);
    const port = await serve(stored, renewed.server);
    const http = client({ tls: { ca } });
    await expect(get(`https://127.0.0.1:${port}/`, {}, http)).rejects.toThrow(/certificate/);
    copyFileSync(renewed.ca, ca);
    expect(await get(`https://127.0.0.1:${port}/`, {}, http)).toBe('200 stored');
  });

  test('a proxy that never answers CONNECT fails the request after the connect timeout, and the next one works', async () => {
    const certificates = stack.use(TestCertificates.make());
    const proxy = await proxyFor({ 'lake.example': await serve(stored, certificates.server) });
    vi.stubEnv('HTTPS_PROXY', proxy.url);
    const http = client({ tls: { ca: certificates.ca }, connectTimeoutMs: 2000 });
    proxy.fault = { type: 'hang' };
    await expect(get('https://lake.example/', {}, http)).rejects.toMatchObject({ code: 'UND_ERR_HEADERS_TIMEOUT' });
    proxy.fault = undefined;
    expect(await get('https://lake.example/', {}, http)).toBe('200 stored');
  });
});
