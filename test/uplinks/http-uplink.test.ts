import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import type { z } from 'zod';
import type { Uplink } from '../../src/contracts/uplink.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { httpUplinkSchema } from '../../src/uplinks/http/http-config.ts';
import { createHttpUplink } from '../../src/uplinks/http/http-uplink.ts';
import { MemoryRecordStore } from '../support/memory-record-store.ts';
import { describeWith } from '../support/programs.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';
import { type HttpFault, UpstreamHttp } from '../support/upstream-http.ts';

/*
 * A real receiver with fault switches on a real socket. It keeps repeats, so a test can check separately
 * "at least once" (every id arrived), "in order" (first arrivals) and "identified by its id" (equal content).
 */
const quick = { retry: { first: '10ms', max: '20ms' }, batch: { linger: '0ms', recordsMax: 3 } } as const;

type Config = Partial<z.input<typeof httpUplinkSchema>>;

type Bench = {
  readonly store: MemoryRecordStore;
  readonly upstream: UpstreamHttp;
  readonly deps: Deps;
  readonly stack: AsyncDisposableStack;
  readonly start: (config?: Config) => Uplink;
  readonly delivered: () => Promise<void>;
};

async function withBench(run: (bench: Bench) => Promise<void>, upstream = new UpstreamHttp()): Promise<void> {
  await using stack = new AsyncDisposableStack();
  stack.use(await upstream.listen());
  const store = new MemoryRecordStore();
  const deps = testDeps();
  const start = (config: Config = {}) => {
    const parsed = httpUplinkSchema.parse({ type: 'http', url: upstream.url, stopTimeout: '0ms', ...quick, ...config });
    const uplink = createHttpUplink({ id: 'lake', agentId: 'edge-01', config: parsed, records: store, deps });
    stack.use(uplink);
    uplink.start();
    return uplink;
  };
  const delivered = () => eventually(() => expect(store.waiting('lake')).toBe(0));
  await run({ store, upstream, deps, stack, start, delivered });
}

function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 60_000, interval: 5 });
}

function health(deps: Deps) {
  return deps.health.components().find(({ name }) => name === 'uplink/lake');
}

describe('a batch over HTTP', () => {
  test('is a POST of agent and records, with a key that names its first and last record', async () => {
    await withBench(async ({ store, upstream, start, delivered }) => {
      await store.appendVerdicts(2);
      start();
      await delivered();
      const [request] = upstream.requests;
      expect(request).toMatchObject({ method: 'POST', url: '/ingest', agent: 'edge-01' });
      expect(request?.headers).toMatchObject({
        'content-type': 'application/json',
        'idempotency-key': 'edge-01/e1/1..edge-01/e1/2',
      });
      expect(request?.records[0]).toEqual({
        id: 'edge-01/e1/1',
        kind: 'verdict',
        timestamp_ms: 1_767_225_600_000,
        number: 0,
        padding: '',
      });
    });
  });

  test('has the headers and secrets, and a changed secret is used without a restart', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'andon-uplink-'));
    const file = join(folder, 'token');
    writeFileSync(file, 'Bearer one\n');
    await withBench(async ({ store, upstream, start, delivered }) => {
      await store.appendVerdicts(1);
      start({ headers: { authorization: { file }, 'x-plant': 'lyon' } });
      await delivered();
      writeFileSync(file, 'Bearer two\n');
      await store.appendVerdicts(1);
      await delivered();
      expect(upstream.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer one', 'Bearer two']);
      expect(upstream.requests[0]?.headers['x-plant']).toBe('lyon');
    });
    rmSync(folder, { recursive: true });
  });

  test('is compressed if the configuration requires it', async () => {
    await withBench(async ({ store, upstream, start, delivered }) => {
      await store.appendVerdicts(3, 1000);
      start({ compression: 'gzip' });
      await delivered();
      expect(upstream.requests[0]?.headers['content-encoding']).toBe('gzip');
      expect(Number(upstream.requests[0]?.headers['content-length'])).toBeLessThan(1000);
      expect(upstream.ids.length).toBe(3);
    });
  });

  test('uses the connection of the batch before', async () => {
    await withBench(async ({ store, upstream, start, delivered }) => {
      await store.appendVerdicts(30);
      start();
      await delivered();
      expect(upstream.requests.length).toBe(10);
      expect(upstream.connections).toBe(1);
    });
  });

  test('is repeated once without a fault if the receiver had closed the idle connection', async () => {
    await withBench(async ({ store, upstream, deps, start, delivered }) => {
      await store.appendVerdicts(1);
      start({ retry: { first: '1h', max: '1h' } });
      await delivered();
      upstream.faults.push({ type: 'reset' });
      await store.appendVerdicts(1);
      await delivered();
      expect(upstream.requests.length).toBe(3);
      expect(health(deps)?.status).toBe('ok');
    });
  });
});

describe('a receiver that fails', () => {
  test('gets every record at least once, first arrivals in order, at every fault', async () => {
    const fault = fc.constantFrom<HttpFault | undefined>(
      undefined,
      { type: 'status', status: 500 },
      { type: 'status', status: 429, headers: { 'retry-after': '0' } },
      { type: 'status', status: 408 },
      { type: 'status', status: 302, headers: { location: 'http://portal.example/' } },
      { type: 'status', status: 401 },
      { type: 'slow', delayMs: 5 },
      { type: 'reset' },
      { type: 'store-then-reset' },
      { type: 'endless-body' },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fault, { maxLength: 12 }), fc.integer({ min: 1, max: 25 }), async (faults, count) => {
        await withBench(async ({ store, upstream, start, delivered }) => {
          for (const one of faults) upstream.faults.push(one ?? { type: 'slow', delayMs: 0 });
          await store.appendVerdicts(count);
          start();
          await delivered();
          expect(upstream.ids).toEqual(store.stored.map(({ id }) => id));
          expect(store.deadLetters).toEqual([]);
          const contents = new Set(upstream.stored.map((record) => JSON.stringify(record)));
          expect(contents.size, 'a repeat is equal to the first').toBe(count);
        });
      }),
      { numRuns: 25 },
    );
  });

  test('and sends Retry-After gets no request for that time', async () => {
    await withBench(async ({ store, upstream, deps, start, delivered }) => {
      upstream.faults.push({ type: 'status', status: 503, headers: { 'retry-after': '1' }, body: 'maintenance' });
      await store.appendVerdicts(1);
      const startedMs = performance.now();
      start();
      await eventually(() => expect(health(deps)?.reason).toContain('HTTP 503: maintenance'));
      await delivered();
      expect(performance.now() - startedMs).toBeGreaterThan(950);
      expect(await metricValue(deps, 'andon_uplink_failures_total{uplink="lake",code="uplink-receiver-failed"}')).toBe(
        1,
      );
    });
  });

  test('and never responds gets the batch again after the timeout', async () => {
    await withBench(async ({ store, upstream, deps, start, delivered }) => {
      upstream.faults.push({ type: 'hang' });
      await store.appendVerdicts(1);
      start({ timeout: '150ms' });
      await delivered();
      expect(upstream.requests.length).toBe(2);
      expect(await metricValue(deps, 'andon_uplink_failures_total{uplink="lake",code="uplink-timeout"}')).toBe(1);
    });
  });

  test('with a redirect is not followed: nothing is lost to a captive portal', async () => {
    await withBench(async ({ store, upstream, deps, start, delivered }) => {
      upstream.fault = { type: 'status', status: 302, headers: { location: upstream.url } };
      await store.appendVerdicts(1);
      start();
      await eventually(() => expect(health(deps)?.reason).toContain(`to ${upstream.url}, which is not followed`));
      expect(upstream.requests.every(({ method }) => method === 'POST')).toBe(true);
      expect(store.waiting('lake')).toBe(1);
      upstream.fault = undefined;
      await delivered();
      expect(health(deps)?.status).toBe('ok');
    });
  });

  test('with a 4xx gets no repeat: the batch is a dead letter with the response, and the next one is sent', async () => {
    await withBench(async ({ store, upstream, deps, start, delivered }) => {
      upstream.faults.push({ type: 'status', status: 422, body: '{"error":"no such watch"}' });
      await store.appendVerdicts(6);
      start();
      await delivered();
      expect(store.deadLetters.map(({ record }) => record.sequence)).toEqual([1, 2, 3]);
      expect(store.deadLetters[0]?.reason).toContain('HTTP 422: {"error":"no such watch"}');
      expect(upstream.ids).toEqual(['edge-01/e1/4', 'edge-01/e1/5', 'edge-01/e1/6']);
      expect(await metricValue(deps, 'andon_uplink_dead_letters_total{uplink="lake",code="uplink-refused"}')).toBe(3);
    });
  });

  test('and is unreachable at the start gets the records when it starts', async () => {
    await withBench(async ({ store, upstream, deps, start, delivered }) => {
      const { port } = upstream;
      await upstream[Symbol.asyncDispose]();
      await store.appendVerdicts(4);
      start();
      await eventually(() => expect(health(deps)?.reason).toContain('ECONNREFUSED'));
      await upstream.listen(port);
      await delivered();
      expect(upstream.ids.length).toBe(4);
    });
  });

  test('and does not speak HTTP is retried, and no record is lost', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.end('SSH-2.0-OpenSSH_9.9\r\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await withBench(async ({ store, deps, start }) => {
      await store.appendVerdicts(1);
      start({ url: `http://127.0.0.1:${port}/` });
      await eventually(() => expect(health(deps)?.reason).toContain('does not speak HTTP'));
      expect(store.waiting('lake')).toBe(1);
    });
    server.close();
  });

  test('and completes no TLS handshake ends the attempt after the connect timeout', async () => {
    const server = createServer((socket) => socket.on('error', () => socket.destroy()).resume());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await withBench(async ({ store, deps, start }) => {
      await store.appendVerdicts(1);
      start({ url: `https://127.0.0.1:${port}/`, connectTimeout: '100ms' });
      await eventually(() => expect(health(deps)?.reason).toContain(`No connection to 127.0.0.1:${port}`));
      const failures = 'andon_uplink_failures_total{uplink="lake",code="uplink-connect-timeout"}';
      expect(await metricValue(deps, failures)).toBeGreaterThan(0);
      expect(store.waiting('lake')).toBe(1);
    });
    server.close();
  });

  test('delays no other uplink', async () => {
    await withBench(async ({ store, upstream, stack, start }) => {
      const dead = stack.use(await new UpstreamHttp().listen());
      dead.fault = { type: 'hang' };
      const deps = testDeps();
      const config = httpUplinkSchema.parse({ type: 'http', url: dead.url, stopTimeout: '0ms', ...quick });
      const uplink = stack.use(createHttpUplink({ id: 'dead', agentId: 'edge-01', config, records: store, deps }));
      uplink.start();
      start();
      await store.appendVerdicts(1);
      await eventually(() => expect(dead.requests.length).toBe(1));
      await store.appendVerdicts(30);
      await eventually(() => expect(upstream.ids.length).toBe(31));
      expect(store.waiting('dead')).toBe(31);
    });
  });
});

test('a stop in the middle of a request gives the batch back', async () => {
  await withBench(async ({ store, upstream, start }) => {
    upstream.fault = { type: 'hang' };
    await store.appendVerdicts(1);
    const uplink = start();
    await eventually(() => expect(upstream.requests.length).toBe(1));
    await uplink[Symbol.asyncDispose]();
    expect(store.waiting('lake')).toBe(1);
    expect(store.deadLetters).toEqual([]);
  });
});

test('a missing secret keeps the records and is named in health', async () => {
  await withBench(async ({ store, upstream, deps, start }) => {
    await store.appendVerdicts(1);
    start({ headers: { authorization: { file: '/nonexistent/token' } } });
    await eventually(() => expect(health(deps)?.reason).toContain('/nonexistent/token'));
    expect(upstream.requests).toEqual([]);
    expect(store.waiting('lake')).toBe(1);
  });
});

describe('the configuration', () => {
  test.each([
    ['ftp://lake.example/', /expected https/],
    ['https://user:secret@lake.example/', /must not be in the url/],
    ['lake.example', /expected https/],
  ])('refuses the url %s', (url, reason) => {
    const result = httpUplinkSchema.safeParse({ type: 'http', url });
    expect(result.error?.issues[0]?.message).toMatch(reason);
  });

  test('refuses headers that the uplink sets itself', () => {
    const headers = { 'Idempotency-Key': 'x' };
    expect(httpUplinkSchema.safeParse({ type: 'http', url: 'https://a.example/', headers }).success).toBe(false);
  });
});

describeWith(['openssl'], 'over TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'andon-tls-'));
  const cert = join(folder, 'cert.pem');
  const key = join(folder, 'key.pem');
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = ['-subj', '/CN=lake', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  execFileSync('openssl', [...request, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const server = () => new UpstreamHttp({ cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') });

  test('a certificate of a private authority is trusted if the configuration names it', async () => {
    await withBench(async ({ store, upstream, start, delivered }) => {
      await store.appendVerdicts(1);
      start({ tls: { ca: cert } });
      await delivered();
      expect(upstream.ids.length).toBe(1);
    }, server());
  });

  test('a receiver with an untrusted certificate gets no record', async () => {
    await withBench(async ({ store, upstream, deps, start }) => {
      await store.appendVerdicts(1);
      start();
      await eventually(() => expect(health(deps)?.reason).toMatch(/self-signed certificate/));
      expect(upstream.requests).toEqual([]);
      expect(store.waiting('lake')).toBe(1);
    }, server());
  });
});
