import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { z } from 'zod';
import type { Deps } from '../../src/platform/deps.ts';
import { httpUplinkSchema } from '../../src/uplinks/http/http-config.ts';
import { createHttpUplink } from '../../src/uplinks/http/http-uplink.ts';
import { TestCertificates } from '../support/broker-certificates.ts';
import { HttpProxy, type ProxyFault } from '../support/http-proxy.ts';
import { MemoryRecordStore } from '../support/memory-record-store.ts';
import { describeWith } from '../support/programs.ts';
import { testDeps } from '../support/test-deps.ts';
import { UpstreamHttp } from '../support/upstream-http.ts';

/*
 * An uplink whose receiver has a certificate of a private authority and can be reached through a proxy only.
 */
describeWith(['openssl'], 'an uplink behind a proxy', () => {
  const certificates = TestCertificates.make();
  afterAll(() => certificates[Symbol.asyncDispose]());

  let stack: AsyncDisposableStack;
  let upstream: UpstreamHttp;
  let proxy: HttpProxy;
  let store: MemoryRecordStore;
  let deps: Deps;

  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    const { cert, key } = certificates.server;
    upstream = stack.use(
      await new UpstreamHttp({ cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }).listen(),
    );
    proxy = stack.use(await new HttpProxy({ 'lake.example': upstream.port }).listen());
    vi.stubEnv('https_proxy', proxy.url);
    vi.stubEnv('no_proxy', '');
    store = new MemoryRecordStore();
    deps = testDeps();
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await stack.disposeAsync();
  });

  function start(config: Partial<z.input<typeof httpUplinkSchema>> = {}): void {
    const parsed = httpUplinkSchema.parse({
      type: 'http',
      url: 'https://lake.example/ingest',
      tls: { ca: certificates.ca },
      stopTimeout: '0ms',
      retry: { first: '10ms', max: '20ms' },
      batch: { linger: '0ms', recordsMax: 3 },
      ...config,
    });
    const uplink = stack.use(
      createHttpUplink({ id: 'lake', agentId: 'edge-01', config: parsed, records: store, deps }),
    );
    uplink.start();
  }

  const delivered = () => eventually(() => expect(store.waiting('lake')).toBe(0));
  const health = () => deps.health.components().find(({ name }) => name === 'uplink/lake');

  test('delivers all batches in order, through one tunnel', async () => {
    await store.appendVerdicts(30);
    start();
    await delivered();
    expect(upstream.ids).toEqual(store.stored.map(({ id }) => id));
    expect(proxy.requests.map(({ line }) => line)).toEqual(['CONNECT lake.example:443']);
  });

  test('repeats a batch once without a fault if the receiver had closed the idle tunnel', async () => {
    await store.appendVerdicts(1);
    start({ retry: { first: '1h', max: '1h' } });
    await delivered();
    upstream.faults.push({ type: 'reset' });
    await store.appendVerdicts(1);
    await delivered();
    expect(upstream.requests.length).toBe(3);
    expect(health()?.status).toBe('ok');
  });

  test.each<readonly [string, ProxyFault, RegExp]>([
    ['asks for a password', { type: 'status', status: 407 }, /407/],
    ['refuses the host', { type: 'status', status: 403 }, /403/],
    ['cannot reach the receiver', { type: 'status', status: 502 }, /502/],
    ['hangs up', { type: 'reset' }, /[Pp]roxy|other side closed/],
    ['never answers', { type: 'hang' }, /the proxy did not answer CONNECT/],
  ])('is degraded with the reason and keeps the records while the proxy %s', async (_, fault, reason) => {
    proxy.fault = fault;
    await store.appendVerdicts(4);
    start({ connectTimeout: '1s' });
    await eventually(() =>
      expect(health()).toMatchObject({ status: 'degraded', reason: expect.stringMatching(reason) }),
    );
    expect(upstream.requests).toEqual([]);
    expect(store.deadLetters).toEqual([]);
    proxy.fault = undefined;
    await delivered();
    expect(upstream.ids).toEqual(store.stored.map(({ id }) => id));
    await eventually(() => expect(health()?.status).toBe('ok'));
  });

  test('delivers when the proxy is back', async () => {
    const { port } = proxy;
    await proxy[Symbol.asyncDispose]();
    await store.appendVerdicts(4);
    start();
    await eventually(() => expect(health()?.reason).toContain(`ECONNREFUSED 127.0.0.1:${port}`));
    stack.use(await new HttpProxy({ 'lake.example': upstream.port }).listen(port));
    await delivered();
    expect(upstream.ids.length).toBe(4);
  });

  test('keeps the records if the file of the authority cannot be read', async () => {
    await store.appendVerdicts(1);
    start({ tls: { ca: '/nowhere/ca.pem' } });
    await eventually(() => expect(health()?.reason).toContain('The TLS file /nowhere/ca.pem cannot be read'));
    expect(store.waiting('lake')).toBe(1);
  });
});

function eventually(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 60_000, interval: 5 });
}
