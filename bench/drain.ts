import { join } from 'node:path';
import Database from 'better-sqlite3';
import { connectAsync } from 'mqtt';
import { draftJson } from '../test/support/draft-body.ts';
import { recordJson } from '../src/domain/record/record.ts';
import type { OutboxReaders } from '../src/outbox/outbox-readers.ts';
import { mqttUplinkKind } from '../src/uplinks/mqtt/mqtt-kind.ts';
import { createMqttUplink } from '../src/uplinks/mqtt/mqtt-uplink.ts';
import { startOutbox } from './outbox-rows.ts';
import { benchDeps } from './part-rate.ts';
import type { PartOptions } from './part-options.ts';
import { AGENT_ID, machineMs } from './workload.ts';
import { verdictDrafts } from './verdict-drafts.ts';

const UPLINK = 'head-office';
/** So many that the start, while V8 compiles, is a small part. */
const BACKLOG = 400_000;
/** The start is a large part. */
const SHORT_BACKLOG = 50_000;
const DRAFTS_PER_APPEND = 500;
/** As the uplink. */
const MESSAGES_IN_FLIGHT = 20;

/** Measures records per second of a backlog to a broker: read, checksums verified, sent, acknowledged, cursor moved. */
export function drainAgent(options: PartOptions): Promise<number> {
  return drain(options, BACKLOG);
}

/** Sends the same bytes in the same messages with mqtt.js alone, with as many in flight; reads and stores nothing. */
export function drainLimit(options: PartOptions): Promise<number> {
  return publish(options, BACKLOG);
}

export function drainShortAgent(options: PartOptions): Promise<number> {
  return drain(options, SHORT_BACKLOG);
}

export function drainShortLimit(options: PartOptions): Promise<number> {
  return publish(options, SHORT_BACKLOG);
}

async function drain({ folder, brokerUrl }: PartOptions, backlog: number): Promise<number> {
  const deps = benchDeps();
  await using outbox = await startOutbox(folder, [{ id: UPLINK, kinds: ['verdict'] }], deps);
  const drafts = verdictDrafts(DRAFTS_PER_APPEND);
  for (let stored = 0; stored < backlog; stored += drafts.length) await outbox.append(drafts);
  await indexed(join(folder, 'outbox.db'));
  const config = uplinkConfig(brokerUrl);
  const drained = afterAcknowledged(outbox.readers, backlog);
  await using uplink = createMqttUplink({ id: UPLINK, agentId: AGENT_ID, config, records: outbox.readers, deps });
  const fromMs = machineMs();
  uplink.start();
  await drained;
  return (backlog * 1000) / (machineMs() - fromMs);
}

async function publish({ brokerUrl }: PartOptions, backlog: number): Promise<number> {
  const { recordsMax, bytesMax } = uplinkConfig(brokerUrl).batch;
  const fromMs = machineMs();
  await using stack = new AsyncDisposableStack();
  const client = await connectAsync(brokerUrl);
  stack.defer(() => client.endAsync());
  const records = verdictDrafts(recordsMax).map(({ kind, timestampMs, watch = '', body, columns }, index) =>
    recordJson({
      id: `${AGENT_ID}/0123456789abcdefg/${index}`,
      sequence: index,
      kind,
      timestampMs,
      watch,
      body: draftJson({ body, columns }),
    }),
  );
  // The agent's messages have at most `bytesMax`, brackets and commas included.
  let bytes = 1;
  const fitting = records.filter((record) => (bytes += record.length + 1) <= bytesMax);
  const payload = `[${fitting.join(',')}]`;
  let left = Math.ceil(backlog / fitting.length);
  await Promise.all(
    Array.from({ length: MESSAGES_IN_FLIGHT }, async () => {
      while (left > 0) {
        left -= 1;
        await client.publishAsync(`andon/v1/${AGENT_ID}/records`, payload, { qos: 1 });
      }
    }),
  );
  return (backlog * 1000) / (machineMs() - fromMs);
}

/** Resolves when the index for the API has the backlog. It is work of the appends, which go on for hours in an outage. */
async function indexed(path: string): Promise<void> {
  const database = new Database(path, { readonly: true });
  const left = database
    .prepare('SELECT count(*) FROM bucket WHERE bucket NOT IN (SELECT bucket FROM history_index)')
    .pluck();
  while (Number(left.get()) > 0) await new Promise((resolve) => setTimeout(resolve, 100));
  database.close();
}

function uplinkConfig(url: string) {
  return mqttUplinkKind.schema.parse({ type: 'mqtt', url, records: ['verdict'] });
}

/** Resolves when the cursor has moved past `count` records. To ask the outbox for its statistics costs more than a batch. */
function afterAcknowledged(readers: OutboxReaders, count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const acknowledge = readers.acknowledge.bind(readers);
  let left = count;
  readers.acknowledge = async (uplink, batches) => {
    await acknowledge(uplink, batches);
    left -= batches.reduce((sum, { length }) => sum + length, 0);
    if (left <= 0) resolve();
  };
  return promise;
}
