import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import type * as z from 'zod';
import { loadKinds, type SourceConfig, sourceKinds, type UplinkConfig, uplinkKinds } from '../../src/config/kinds.ts';
import { GOOD } from '../../src/domain/sample/quality.ts';
import type { SampleBatch } from '../../src/domain/sample/sample-batch.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { dataTypes, encodeSparkplug } from '../../src/protocols/sparkplug/sparkplug-payload.ts';
import { NatsServer } from './nats-server.ts';
import { MemoryRecordStore } from './memory-record-store.ts';
import { ModbusRawServer } from './modbus-raw-server.ts';
import { lineNode } from './opcua-plant.ts';
import { postgresProgram, PostgresServer } from './postgres-server.ts';
import { opcuaPeer, OpcuaServer } from './opcua-server.ts';
import { plainSource } from './source-context.ts';
import { UpstreamBroker } from './upstream-broker.ts';
import { UpstreamHttp } from './upstream-http.ts';

/** A peer as a contract test needs it, behind a line with faults. */
export type ContractPeer = AsyncDisposable & { readonly port: number };

/** A kind's peer, and a configuration that connects to it. */
export type SourceFixture = {
  /** Program of the peer, for `describeWith`; absent if the peer needs none. */
  readonly program?: string;
  /** The peer, which has a value to give all the time. */
  readonly peer: () => Promise<ContractPeer>;
  /** Waits short enough for a test. */
  readonly config: (port: number) => Readonly<Record<string, unknown>>;
};

/** One for all tests of a worker, because it takes a second to start. It ends with the worker, which holds its input. */
let opcuaServer: Promise<OpcuaServer> | undefined;

export type UplinkFixture = {
  /** Program of the peer, for `describeWith`; absent if the peer needs none. */
  readonly program?: string;
  readonly peer: () => Promise<ContractPeer & { readonly arrived: () => number }>;
  readonly config: (port: number) => Readonly<Record<string, unknown>>;
};

const EVERY_MS = 50;
const quickMqtt = { connectTimeout: '300ms', reconnectMin: '20ms', reconnectMax: '100ms', keepalive: '1s' };

/** One a kind, by its `type`. */
export const sourceFixtures: Readonly<Record<string, SourceFixture>> = {
  modbus: {
    peer: () => ModbusRawServer.listen(),
    config: (port) => ({
      url: `tcp://127.0.0.1:${port}`,
      scanInterval: `${EVERY_MS}ms`,
      timeout: '200ms',
      connectTimeout: '300ms',
      reconnect: { first: '20ms', max: '100ms' },
      tags: { value: { register: 'holding', address: 0, type: 'uint16' } },
    }),
  },
  mqtt: {
    peer: () => publishingBroker('contract/value', () => '7'),
    config: (port) => ({
      url: `mqtt://127.0.0.1:${port}`,
      ...quickMqtt,
      tags: { value: { topic: 'contract/value' } },
    }),
  },
  sparkplug: {
    peer: () => publishingBroker('spBv1.0/contract/NBIRTH/node', nodeBirth),
    config: (port) => ({
      url: `mqtt://127.0.0.1:${port}`,
      ...quickMqtt,
      tags: { value: { group: 'contract', edgeNode: 'node', metric: 'value' } },
    }),
  },
  opcua: {
    program: opcuaPeer,
    peer: async () => {
      opcuaServer ??= OpcuaServer.start({ tickMs: EVERY_MS });
      const { port } = await opcuaServer;
      return { port, [Symbol.asyncDispose]: () => Promise.resolve() };
    },
    config: (port) => ({
      url: `opc.tcp://127.0.0.1:${port}/line`,
      security: { policy: 'None' },
      publishingInterval: '100ms',
      connectTimeout: '2s',
      reconnect: { first: '20ms', max: '100ms' },
      tags: { value: lineNode('Tick') },
    }),
  },
};

const quickUplink = { retry: { first: '20ms', max: '100ms' }, stopTimeout: '500ms' };

/** One a kind, by its `type`. */
export const uplinkFixtures: Readonly<Record<string, UplinkFixture>> = {
  http: {
    peer: async () => {
      const upstream = await new UpstreamHttp().listen();
      return Object.assign(upstream, { arrived: () => upstream.ids.length });
    },
    config: (port) => ({
      url: `http://127.0.0.1:${port}/ingest`,
      timeout: '300ms',
      connectTimeout: '300ms',
      ...quickUplink,
    }),
  },
  influx: {
    peer: async () => {
      const upstream = await new UpstreamHttp().listen();
      return Object.assign(upstream, { arrived: () => upstream.stored.length });
    },
    config: (port) => ({
      url: `http://127.0.0.1:${port}/write`,
      timeout: '300ms',
      connectTimeout: '300ms',
      batch: { linger: '0ms' },
      ...quickUplink,
    }),
  },
  mqtt: {
    peer: async () => {
      const broker = await new UpstreamBroker().listen();
      const arrived = () =>
        new Set(
          broker
            .on('andon/v1/edge-01/records')
            .flat()
            .map((one) => JSON.stringify(one)),
        ).size;
      const { port } = new URL(broker.url);
      return { port: Number(port), arrived, [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose]() };
    },
    config: (port) => ({ url: `mqtt://127.0.0.1:${port}`, publishTimeout: '300ms', ...quickMqtt, ...quickUplink }),
  },
  nats: {
    program: 'nats-server',
    peer: natsPeer,
    config: (port) => ({
      url: `nats://127.0.0.1:${port}`,
      durability: 'none',
      connectTimeout: '300ms',
      publishTimeout: '300ms',
      reconnectMin: '20ms',
      reconnectMax: '100ms',
      ...quickUplink,
    }),
  },
  postgres: {
    program: postgresProgram('postgres'),
    peer: postgresPeer,
    config: (port) => ({
      url: `postgres://127.0.0.1:${port}/postgres`,
      username: 'postgres',
      connectTimeout: '1s',
      timeout: '1s',
      reconnectMin: '20ms',
      reconnectMax: '100ms',
      batch: { linger: '0ms' },
      ...quickUplink,
    }),
  },
};

/** Kinds that write files: without a peer, their tests are in test/uplinks. */
export const fileUplinks: readonly string[] = ['parquet'];

/** A source or an uplink at work, and how much came of it. */
export type Subject = AsyncDisposable & {
  start(): void;
  /** Good samples, or records that arrived. */
  readonly delivered: () => number;
  readonly health: () => { readonly status: string; readonly reason: string } | undefined;
};

export async function createContractSource(type: string, port: number, deps: Deps): Promise<Subject> {
  const kind = sourceKinds.find((one) => one.type === type);
  // The schema belongs to the kind, and so does its output.
  const config = parse(kind?.schema, type, sourceFixtures[type]?.config(port)) as SourceConfig;
  let good = 0;
  const kinds = await loadKinds();
  const source = kinds.createSource({
    id: 'peer',
    config,
    tagNumbers: new Map([['value', 0]]),
    ...plainSource,
    stateFolder: contractFolder(),
    sink: { accept: (batch) => (good += goodSamples(batch)) },
    deps,
  });
  return {
    start: () => source.start(),
    delivered: () => good,
    health: () => deps.health.components().find(({ name }) => name === 'source/peer'),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

/** @param arrived What the peer counts. */
export async function createContractUplink(
  type: string,
  port: number,
  arrived: () => number,
  deps: Deps,
): Promise<Subject> {
  const kind = uplinkKinds.find((one) => one.type === type);
  const config = parse(kind?.schema, type, uplinkFixtures[type]?.config(port)) as UplinkConfig;
  const records = new MemoryRecordStore('edge-01');
  const kinds = await loadKinds();
  const uplink = kinds.createUplink({ id: 'peer', agentId: 'edge-01', config, records, deps });
  let feeding: NodeJS.Timeout | undefined;
  return {
    start: () => {
      feeding = setInterval(() => void records.appendVerdicts(1), EVERY_MS);
      uplink.start();
    },
    delivered: arrived,
    health: () => deps.health.components().find(({ name }) => name === 'uplink/peer'),
    [Symbol.asyncDispose]: async () => {
      clearInterval(feeding);
      await uplink[Symbol.asyncDispose]();
    },
  };
}

let contractState: string | undefined;

/** State of the sources of this worker. */
function contractFolder(): string {
  contractState ??= mkdtempSync(join(tmpdir(), 'andon-contract-'));
  return contractState;
}

function parse(schema: z.ZodType | undefined, type: string, config: object | undefined): unknown {
  if (schema === undefined || config === undefined) throw new Error(`The kind '${type}' has no fixture`);
  return schema.parse({ type, ...config });
}

function goodSamples(batch: SampleBatch): number {
  return batch.qualities.subarray(0, batch.length).filter((quality) => quality === GOOD).length;
}

/** An edge node that is born again and again, each time with its value. */
function nodeBirth(): Buffer {
  const timestampMs = Date.now();
  const metric = (name: string, dataType: number, value: number) => ({ name, timestampMs, dataType, value });
  const metrics = [metric('bdSeq', dataTypes.UInt64, 0), metric('value', dataTypes.Double, 7)];
  return Buffer.from(encodeSparkplug(timestampMs, 0, metrics));
}

/** One for all tests of a worker, because it takes seconds to create. It ends with the worker, which holds its input. */
let postgresServer: Promise<PostgresServer> | undefined;

/** A database without tables, and a client that counts its rows. */
async function postgresPeer(): Promise<ContractPeer & { readonly arrived: () => number }> {
  postgresServer ??= PostgresServer.start();
  const server = await postgresServer;
  await server.query('DROP SCHEMA IF EXISTS andon CASCADE');
  const client = await server.connect();
  let rows = 0;
  const counting = setInterval(() => {
    client.query('SELECT count(*) FROM andon.verdict_data').then(
      (answer) => (rows = Number((answer.rows as readonly { readonly count: string }[])[0]?.count)),
      // There is no table before the uplink has connected.
      () => undefined,
    );
  }, EVERY_MS);
  return {
    port: server.port,
    arrived: () => rows,
    [Symbol.asyncDispose]: async () => {
      clearInterval(counting);
      await client.end();
    },
  };
}

/** A stream, and a subscriber that counts what arrives for it. */
async function natsPeer(): Promise<ContractPeer & { readonly arrived: () => number }> {
  const server = await NatsServer.start();
  await server.addStream();
  const connection = await server.connect();
  const ids = new Set<string>();
  connection.subscribe('andon.v1.edge-01.records', {
    callback: (_error, message) => {
      for (const { id } of message.json<readonly { readonly id: string }[]>()) ids.add(id);
    },
  });
  await connection.flush();
  return {
    port: server.port,
    arrived: () => ids.size,
    [Symbol.asyncDispose]: async () => {
      await connection.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** A broker on which something is published all the time. */
async function publishingBroker(topic: string, payload: () => string | Buffer): Promise<ContractPeer> {
  const broker = await new UpstreamBroker().listen();
  const client = await connectAsync(broker.url);
  const publishing = setInterval(() => client.publish(topic, payload()), EVERY_MS);
  return {
    port: Number(new URL(broker.url).port),
    [Symbol.asyncDispose]: async () => {
      clearInterval(publishing);
      await client.endAsync(true);
      await broker[Symbol.asyncDispose]();
    },
  };
}
