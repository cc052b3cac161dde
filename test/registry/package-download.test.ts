import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { isPrivateAddress } from '../../src/registry/package/private-addresses.ts';
import { TestCertificates } from '../support/broker-certificates.ts';
import { HttpProxy } from '../support/http-proxy.ts';
import { RegistryHarness } from '../support/registry-harness.ts';
import { describeWith } from '../support/programs.ts';
import { packageArchive } from '../support/model-packages.ts';
import { meanOf4x2 } from '../support/onnx-host-harness.ts';

/** A model over HTTP from a server that does what the test says. */
const pump = { ...meanOf4x2, name: 'pump' };
const archive = packageArchive(pump);
const opened: (() => Promise<void>)[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of opened.splice(0)) await close();
});

async function serve(listener: RequestListener, tls?: { cert: Buffer; key: Buffer }): Promise<string> {
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  opened.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function install(
  url: string,
  more: { headers?: Record<string, string>; config?: Record<string, unknown>; sha256?: string } = {},
) {
  const { headers = {}, config = {}, sha256 } = more;
  await using harness = new RegistryHarness({ config: { privateDownloads: true, ...config } });
  const installed = await harness.install(pump, { source: { kind: 'url', url, headers }, sha256 });
  return { installed, entry: (await harness.audit()).at(-1) };
}

test('a package is fetched with the headers given, and the log keeps no query, which may hold a secret', async () => {
  let seen: IncomingHttpHeaders = {};
  const url = await serve(({ headers }, response) => {
    seen = headers;
    response.end(archive);
  });
  const { installed, entry } = await install(`${url}/pump.tgz?token=secret`, {
    headers: { authorization: 'Bearer x' },
  });
  expect(installed).toMatchObject({ name: 'pump', version: 1, fresh: true });
  expect(seen).toMatchObject({ authorization: 'Bearer x', 'accept-encoding': 'identity' });
  expect(entry?.detail).toMatchObject({
    url: `${url}/pump.tgz`,
    archive_sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
  });
});

test('a redirect to another server is followed without the headers, which are not for it', async () => {
  let seen: IncomingHttpHeaders = {};
  const other = await serve(({ headers }, response) => {
    seen = headers;
    response.end(archive);
  });
  const url = await serve((_, response) => response.writeHead(302, { location: `${other}/elsewhere` }).end());
  expect((await install(url, { headers: { authorization: 'Bearer x' } })).installed.fresh).toBe(true);
  expect(seen.authorization).toBeUndefined();
});

test.each<readonly [string, RequestListener, string, RegExp]>([
  [
    'redirects forever',
    (_, response) => response.writeHead(302, { location: '/again' }).end(),
    'model-download-failed',
    /more than 5 times/,
  ],
  [
    'redirects to another protocol',
    (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    'model-package-invalid',
    /'file:\/\/\/etc\/passwd' is not an http/,
  ],
  [
    'has no such file',
    (_, response) => response.writeHead(404).end(),
    'model-download-failed',
    /answered 404 Not Found/,
  ],
  [
    'closes the connection early',
    (_, response) =>
      response
        .writeHead(200, { 'content-length': '9999999' })
        .write(archive.subarray(0, 100), () => response.destroy()),
    'model-download-failed',
    /127\.0\.0\.1/,
  ],
  [
    'never ends',
    (_, response) => void response.write(archive.subarray(0, 100)),
    'model-download-failed',
    /did not send the package within 5s/,
  ],
  ['never answers', () => undefined, 'model-download-failed', /within 5s/],
  [
    'sends more than the limit',
    (_, response) => sendWithoutEnd(response),
    'model-package-too-large',
    /more than \d+\.\d MB/,
  ],
  ['sends a web page', (_, response) => response.end('<!doctype html>'.repeat(99)), 'model-package-invalid', /damaged/],
])('a server that %s', async (_, listener, code, reason) => {
  const url = await serve(listener);
  // Only the servers that never end are to reach the deadline.
  const receiveDeadline = reason.source.endsWith('within 5s') ? '5s' : '1m';
  const refused = install(url, { config: { receiveDeadline, maxModelSize: '1MB' } });
  await expect(refused).rejects.toMatchObject({ code, message: expect.stringMatching(reason) as string });
});

test.each([
  'http://127.0.0.1:1/p.tgz',
  'http://[::1]:1/p.tgz',
  'http://localhost:1/p.tgz',
  'http://[::ffff:10.0.0.1]/p.tgz',
])('a server on a local network is refused unless models.privateDownloads allows it: %s', async (url) => {
  await expect(install(url, { config: { privateDownloads: false } })).rejects.toMatchObject({
    code: 'model-download-failed',
    message: expect.stringContaining('models.privateDownloads') as string,
  });
});

test.each([
  ['http://pump.example/p.tgz', 'http://10.0.0.1/p.tgz'],
  ['http://pump.example/p.tgz', 'http://[fd00::1]/p.tgz'],
  ['http://pump.example/p.tgz', 'http://169.254.169.254/latest/meta-data'],
  ['http://pump.example/p.tgz', 'http://127.0.0.1:8080/healthz'],
  ['http://pump.example/p.tgz', 'http://localhost/p.tgz'],
])('a redirect from a public server to a local network is refused: %s to %s', async (url, location) => {
  const server = await serve((_, response) => response.writeHead(302, { location }).end());
  await using proxy = await new HttpProxy({ 'pump.example': Number(new URL(server).port) }).listen();
  vi.stubEnv('http_proxy', proxy.url);
  vi.stubEnv('no_proxy', '');
  await expect(install(url, { config: { privateDownloads: false } })).rejects.toMatchObject({
    code: 'model-download-failed',
    message: expect.stringContaining('models.privateDownloads') as string,
  });
  expect(proxy.requests.map(({ line }) => line)).toEqual([`GET ${url}`]);
});

test('a package comes through the proxy of the environment, which looks up its server', async () => {
  const server = await serve((_, response) => response.end(archive));
  await using proxy = await new HttpProxy({ 'pump.example': Number(new URL(server).port) }).listen();
  vi.stubEnv('http_proxy', proxy.url);
  vi.stubEnv('no_proxy', '');
  const { installed } = await install('http://pump.example/p.tgz', { config: { privateDownloads: false } });
  expect(installed).toMatchObject({ name: 'pump', version: 1 });
  for (const address of ['10.0.0.1', '[::1]', '169.254.169.254'])
    await expect(install(`http://${address}/p.tgz`, { config: { privateDownloads: false } })).rejects.toThrow(
      'models.privateDownloads',
    );
  expect(proxy.requests.length).toBe(1);
});

test.each([
  ['10.1.2.3', true],
  ['172.31.0.1', true],
  ['169.254.169.254', true],
  ['::ffff:192.168.0.1', true],
  ['fd00::1', true],
  ['fe80::1', true],
  ['64:ff9b::a00:1', true],
  ['93.184.215.14', false],
  ['172.32.0.1', false],
  ['2606:4700::1111', false],
  ['::ffff:93.184.215.14', false],
])('%s is private: %s', (address, expected) => {
  expect(isPrivateAddress(address)).toBe(expected);
});

describeWith(['openssl'], 'from a server with a certificate of a private authority', () => {
  test('a package is installed if models.tls names the authority, and refused otherwise', async () => {
    await using certificates = TestCertificates.make();
    const { cert, key } = certificates.server;
    const url = await serve((_, response) => response.end(archive), {
      cert: readFileSync(cert),
      key: readFileSync(key),
    });
    await expect(install(url)).rejects.toThrow('unable to verify the first certificate');
    const { installed } = await install(url, { config: { tls: { ca: certificates.ca } } });
    expect(installed.fresh).toBe(true);
  });

  test('a redirect to clear text is refused', async () => {
    await using certificates = TestCertificates.make();
    const { cert, key } = certificates.server;
    let requests = 0;
    const clear = await serve((_, response) => {
      requests += 1;
      response.end(archive);
    });
    const url = await serve((_, response) => response.writeHead(302, { location: clear }).end(), {
      cert: readFileSync(cert),
      key: readFileSync(key),
    });
    await expect(install(url, { config: { tls: { ca: certificates.ca } } })).rejects.toThrow(
      'redirects from https to http:',
    );
    expect(requests).toBe(0);
  });
});

test('the error of an unreachable server contains its address', async () => {
  await expect(install('http://127.0.0.1:1/pump.tgz')).rejects.toMatchObject({
    code: 'model-download-failed',
    disposition: 'retry',
    message: expect.stringMatching(/127\.0\.0\.1:1: (.*ECONNREFUSED|bad port)/) as string,
  });
});

test('an archive with another SHA-256 is refused', async () => {
  const url = await serve((_, response) => response.end(archive));
  await expect(install(url, { sha256: 'a'.repeat(64) })).rejects.toMatchObject({ code: 'model-package-invalid' });
});

test.each([
  ['has no such file', (url: string) => ({ url: `${url}/pump.tgz?sig=s3cret` })],
  ['has a password in its URL', (url: string) => ({ url: url.replace('//', '//user:s3cret@') })],
  ['is sent an invalid header', (url: string) => ({ url, authorization: 'Bearer s3cret\n' })],
  ['redirects to another protocol', (url: string) => ({ url: `${url}/moved` })],
  ['is not an HTTP server', () => ({ url: 'ftp://user:s3cret@plant/pump.tgz?s3cret' })],
  ['has an invalid port', () => ({ url: 'http://user:s3cret@plant:999999/pump.tgz?s3cret' })],
])('a refusal names the server and no secret, if it %s', async (_, sourceAt) => {
  const listening = await serve(({ url = '' }, response) => {
    const location = 'file://user:s3cret@plant/x?s3cret';
    if (url.startsWith('/moved')) response.writeHead(302, { location }).end();
    else response.writeHead(404).end();
  });
  await using harness = new RegistryHarness({ config: { privateDownloads: true } });
  const { url, authorization } = { authorization: 'Bearer x', ...sourceAt(listening) };
  const source = { kind: 'url', url, headers: { authorization } } as const;
  const refusal: unknown = await harness.install(pump, { source }).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ name: 'OperatingError' });
  expect(String(refusal)).not.toContain('s3cret');
  expect(JSON.stringify(await harness.audit())).not.toContain('s3cret');
  const from = (await harness.audit()).at(-1)?.detail['url'] ?? '';
  expect(from).toContain(URL.parse(url)?.host ?? '');
});

function sendWithoutEnd(response: { write: (chunk: Buffer, done: () => void) => unknown; destroyed: boolean }): void {
  if (!response.destroyed) response.write(Buffer.alloc(100_000), () => sendWithoutEnd(response));
}
