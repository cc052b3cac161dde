import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fmtCreds } from '@nats-io/jwt';
import { connect, credsAuthenticator, nkeys } from '@nats-io/transport-node';
import { DiscardPolicy, jetstreamManager, RetentionPolicy, StorageType, type StreamConfig } from '@nats-io/jetstream';
import { expect, test, vi } from 'vitest';
import type { z } from 'zod';
import type { Uplink } from '../../src/contracts/uplink.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { natsUplinkSchema } from '../../src/uplinks/nats/nats-config.ts';
import { createNatsUplink } from '../../src/uplinks/nats/nats-uplink.ts';
import { boxToken, natsServerConfig, newFleetKeys, serviceCredentials } from '../../src/fleet/service/fleet-keys.ts';
import { TestCertificates } from '../support/broker-certificates.ts';
import { MemoryRecordStore } from '../support/memory-record-store.ts';
import { NatsServer, type NatsServerOptions } from '../support/nats-server.ts';
import { describeWith } from '../support/programs.ts';
import { testDeps } from '../support/test-deps.ts';

type Config = Partial<z.input<typeof natsUplinkSchema>>;
type Bench = {
  readonly server: NatsServer;
  readonly store: MemoryRecordStore;
  readonly deps: Deps;
  readonly start: (config?: Config) => Uplink;
  readonly delivered: () => Promise<void>;
  readonly reason: (part: string) => Promise<void>;
};

const quick = {
  durability: 'none',
  connectTimeout: '5s',
  reconnectMin: '10ms',
  reconnectMax: '50ms',
  retry: { first: '10ms', max: '20ms' },
  batch: { linger: '0ms', recordsMax: 3 },
  stopTimeout: '0ms',
} as const;

async function withBench(options: NatsServerOptions, run: (bench: Bench) => Promise<void>): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await NatsServer.start(options));
  const store = new MemoryRecordStore();
  const deps = { ...testDeps(), random: Math.random };
  const start = (config: Config = {}) => {
    const parsed = natsUplinkSchema.parse({ type: 'nats', url: server.url, ...quick, ...config });
    const uplink = createNatsUplink({ id: 'fleet', agentId: 'edge-01', config: parsed, records: store, deps });
    stack.use(uplink);
    uplink.start();
    return uplink;
  };
  const health = () => deps.health.components().find(({ name }) => name === 'uplink/fleet');
  const delivered = () => eventually(() => expect(store.waiting('fleet')).toBe(0));
  const reason = (part: string) => eventually(() => expect(health()?.reason).toContain(part));
  await run({ server, store, deps, start, delivered, reason });
}

function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 60_000, interval: 10 });
}

type Message = Awaited<ReturnType<NatsServer['messages']>>[number];

function idsOf(messages: readonly Message[]): readonly string[] {
  const batches = messages.filter(({ subject }) => subject.endsWith('.records'));
  return batches.flatMap(({ json }) => (json as readonly { readonly id: string }[]).map(({ id }) => id));
}

describeWith(['nats-server'], 'uplink to NATS JetStream', () => {
  test('a batch is one message with the first id and the count as its id, and an alarm is sent alone too', async () => {
    await withBench({}, async ({ server, store, start, delivered }) => {
      await server.addStream();
      await store.appendVerdicts(2);
      await store.append([
        { kind: 'alarm', timestampMs: 1_767_225_600_002, watch: 'pump-1', body: { watch: 'pump-1' }, alarm: undefined },
      ]);
      start();
      await delivered();
      const messages = await server.messages();
      expect(messages.map(({ subject, id }) => ({ subject, id }))).toEqual([
        { subject: 'andon.v1.edge-01.alarm.pump-1', id: 'edge-01/e1/3' },
        { subject: 'andon.v1.edge-01.records', id: 'edge-01/e1/1+3' },
      ]);
      expect(messages[0]?.json).toMatchObject({ id: 'edge-01/e1/3', kind: 'alarm', watch: 'pump-1' });
      expect(idsOf(messages)).toEqual(store.stored.map(({ id }) => id));
    });
  });

  test('a server that is killed and started again gets every record once', async () => {
    await withBench({}, async ({ server, store, start, delivered, reason }) => {
      await server.addStream();
      start();
      await store.appendVerdicts(60);
      await eventually(() => expect(store.waiting('fleet')).toBeLessThan(60));
      await server.kill();
      await store.appendVerdicts(30);
      await reason('No connection');
      await server.begin();
      await delivered();
      expect(idsOf(await server.messages()).toSorted()).toEqual(store.stored.map(({ id }) => id).toSorted());
      expect(store.deadLetters).toEqual([]);
    });
  });

  test('an agent that starts again after its stream lost acknowledged records sends them again', async () => {
    await withBench({}, async ({ server, store, start, delivered }) => {
      await server.addStream();
      await store.appendVerdicts(30);
      const first = start();
      await delivered();
      await first[Symbol.asyncDispose]();
      await server.deleteStream();
      await server.addStream();
      start();
      await eventually(async () => expect(idsOf(await server.messages())).toHaveLength(30));
      await delivered();
      expect(idsOf(await server.messages())).toEqual(store.stored.map(({ id }) => id));
    });
  });

  test('a stream that keeps what it acknowledged gets nothing again', async () => {
    await withBench({}, async ({ server, store, start, delivered }) => {
      await server.addStream();
      await store.appendVerdicts(30);
      const first = start();
      await delivered();
      await first[Symbol.asyncDispose]();
      start();
      await store.appendVerdicts(3);
      await delivered();
      expect(idsOf(await server.messages())).toEqual(store.stored.map(({ id }) => id));
    });
  });

  const unfit: readonly (readonly [string, Partial<StreamConfig> | undefined, Config, string])[] = [
    ['no stream', undefined, {}, 'does not exist'],
    ['other subjects', { subjects: ['other.>'] }, {}, 'does not store the subject andon.v1.edge-01.records'],
    ['memory storage', { storage: StorageType.Memory }, { durability: 'synced' }, 'memory storage'],
    ['one replica', {}, { durability: 'replicated' }, '1 replica'],
    ['a short duplicate window', { duplicate_window: 1e9 }, {}, 'duplicate window of a-short-duplicate-window is 1s'],
    ['small messages', { max_msg_size: 100 }, {}, 'max_msg_size'],
  ];

  test('a stream that does not fit is named with the setting to change, and used once it fits', async () => {
    await withBench({}, async ({ server, store, start, delivered, reason }) => {
      await store.appendVerdicts(1);
      for (const [name, stream, config, part] of unfit) {
        const own = name.replaceAll(' ', '-');
        if (stream !== undefined) await server.addStream({ ...stream, name: own });
        const uplink = start({ ...config, stream: own });
        await reason(part);
        await uplink[Symbol.asyncDispose]();
        if (stream !== undefined) await server.deleteStream(own);
      }
      expect(store.waiting('fleet')).toBe(1);
      start();
      await server.addStream();
      await delivered();
    });
  });

  test('a full stream that discards new messages loses nothing', async () => {
    await withBench({}, async ({ server, store, start, delivered, reason }) => {
      await server.addStream({
        max_msgs: 1,
        discard: DiscardPolicy.New,
        retention: RetentionPolicy.Limits,
      });
      await store.appendVerdicts(6);
      start({ batchesInFlight: 1 });
      await reason('maximum messages exceeded');
      expect(store.waiting('fleet')).toBe(3);
      await server.deleteStream();
      await server.addStream();
      await delivered();
      expect(store.deadLetters).toEqual([]);
    });
  });

  test('durability: synced is verified at the monitoring endpoint', async () => {
    await withBench({ jetstream: ['sync_interval: "2m"'] }, async ({ server, store, start, delivered, reason }) => {
      await server.addStream();
      await store.appendVerdicts(1);
      start({ durability: 'synced', monitor: `http://127.0.0.1:${server.monitorPort}` });
      await reason('writes to disk every 120 s');
      expect(store.waiting('fleet')).toBe(1);
      await server.kill();
      server.configure({ jetstream: ['sync_interval: always'] });
      await server.begin();
      await delivered();
    });
  });

  test('a batch over the limit of the stream is divided', async () => {
    await withBench({}, async ({ server, store, start, delivered }) => {
      await server.addStream({ max_msg_size: 5000 });
      await store.appendVerdicts(20, 1000);
      start({ batch: { linger: '0ms', recordsMax: 20 } });
      await delivered();
      expect(idsOf(await server.messages())).toEqual(store.stored.map(({ id }) => id));
      expect(store.deadLetters).toEqual([]);
    });
  });

  test('a login with an nkey, and a wrong one is degraded', async () => {
    const user = nkeys.createUser();
    process.env['ANDON_TEST_NKEY'] = new TextDecoder().decode(user.getSeed());
    process.env['ANDON_TEST_NKEY_OTHER'] = new TextDecoder().decode(nkeys.createUser().getSeed());
    const lines = [
      `authorization { users: [ { nkey: "${user.getPublicKey()}" }, { user: admin, password: secret } ] }`,
    ];
    await withBench({}, async ({ server, store, start, delivered, reason }) => {
      await server.addStream();
      await server.kill();
      server.configure({ lines });
      await server.begin();
      await store.appendVerdicts(1);
      const wrong = start({ nkey: { env: 'ANDON_TEST_NKEY_OTHER' } });
      await reason('Authorization Violation');
      await wrong[Symbol.asyncDispose]();
      start({ nkey: { env: 'ANDON_TEST_NKEY' } });
      await delivered();
      expect(store.deadLetters).toEqual([]);
    });
  });

  test('a login with a credentials file over TLS, with the permissions of a box of a fleet', async () => {
    await using certificates = TestCertificates.make();
    const keys = newFleetKeys();
    await withBench({}, async ({ server, store, start, delivered, reason }) => {
      await server.kill();
      const config = await natsServerConfig(keys, {
        listen: '',
        folder: dirname(certificates.ca),
        tls: certificates.server,
      });
      // The server of the test has its own address and folder.
      server.configure({ lines: config.split('\n').filter((line) => !/^(listen|jetstream)/.test(line)) });
      await server.begin();
      const servers = server.url;
      const tls = { caFile: certificates.ca, host: '127.0.0.1' };
      const authenticator = credsAuthenticator(await serviceCredentials(keys, 'fleet'));
      const admin = await connect({ servers, authenticator, tls });
      const manager = await jetstreamManager(admin);
      await manager.streams.add({
        name: 'ANDON',
        subjects: ['andon.v1.>'],
        storage: StorageType.File,
        allow_direct: true,
      });
      const box = nkeys.createUser();
      const token = await boxToken(keys, { name: 'edge-01', publicKey: box.getPublicKey() });
      const file = join(dirname(certificates.ca), 'box.creds');
      writeFileSync(file, fmtCreds(token, box));
      await store.appendVerdicts(2);
      const secure = { url: server.url.replace('nats:', 'tls:'), credentials: { file } };
      const unknown = start(secure);
      await reason('certificate');
      await unknown[Symbol.asyncDispose]();
      start({ ...secure, tls: { ca: certificates.ca } });
      await delivered();
      const message = await manager.streams.getMessage('ANDON', { last_by_subj: 'andon.v1.edge-01.records' });
      expect(message?.header.get('Andon-Last-Record')).toBe('edge-01/e1/2');
      expect(store.deadLetters).toEqual([]);
      await admin.close();
    });
  });

  /** A server that greets, answers pings if requested, and is silent then. `received` resolves when a client sent the text. */
  async function silentServer(text: string, greeting: string, answersPings: boolean) {
    const received = Promise.withResolvers<void>();
    const server = createServer((socket) => {
      socket.write(greeting);
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        if (answersPings && bytes.includes('PING')) socket.write('PONG\r\n');
        if (bytes.includes(text)) received.resolve();
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as { readonly port: number };
    return { port, received: received.promise, [Symbol.dispose]: () => server.close() };
  }

  const GREETING = 'INFO {"server_id":"silent","version":"2.15.0","headers":true,"max_payload":1048576}\r\n';

  // A stop that waited would exceed the time limit of the test.
  test('a stop does not wait for a server that is silent in the login, before the stream, or at the monitor', async () => {
    await withBench({}, async ({ server, store, start }) => {
      await server.addStream();
      await store.appendVerdicts(1);
      const connectTimeout = '10m';
      using login = await silentServer('CONNECT', GREETING, false);
      using stream = await silentServer('$JS.API.STREAM.INFO', GREETING, true);
      using monitor = await silentServer('/jsz', '', false);
      const monitored = { durability: 'synced', monitor: `http://127.0.0.1:${monitor.port}` } as const;
      for (const { received, config } of [
        { received: login.received, config: { url: `nats://127.0.0.1:${login.port}` } },
        { received: stream.received, config: { url: `nats://127.0.0.1:${stream.port}` } },
        { received: monitor.received, config: monitored },
      ]) {
        const uplink = start({ connectTimeout, ...config });
        await received;
        await uplink[Symbol.asyncDispose]();
      }
      expect(store.waiting('fleet')).toBe(1);
    });
  });
});
