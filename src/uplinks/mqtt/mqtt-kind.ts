import * as z from 'zod';
import type { ConnectionState, UplinkKind, UplinkTransport } from '../../contracts/uplink.ts';
import type { RecordBatch } from '../../domain/record/record-batch.ts';
import { configObject, duration } from '../../platform/config-fields.ts';
import type { Deps } from '../../platform/deps.ts';
import {
  checkMqttConfig,
  mqttConnectionOptions,
  mqttFields,
  mqttString,
  randomClientId,
} from '../../protocols/mqtt/mqtt-config.ts';
import { MqttConnection } from '../../protocols/mqtt/mqtt-connection.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import { UplinkError } from '../uplink-errors.ts';
import { uplinkFields } from '../uplink-fields.ts';
import { UplinkPump } from '../uplink-pump.ts';

export const mqttUplinkSchema = configObject({
  type: z.literal('mqtt'),
  ...mqttFields,
  topic: mqttString
    .regex(/^[^+#\0]+$/, { error: 'expected a topic without the wildcards + and #' })
    .optional()
    .describe('Topic of the batches. Default: andon/v1/<agent.id>/records'),
  publishTimeout: duration('Longest wait for the broker to acknowledge a batch', {
    minMs: 100,
    maxMs: 600_000,
  }).prefault('15s'),
  batchesInFlight: z
    .int()
    .min(1)
    .max(100)
    .default(20)
    .describe('Most batches that wait for an acknowledgement at a time. Their order is kept'),
  // Brokers in a cloud commonly take no more than 128 kB (AWS IoT Core) or 256 kB (Azure) a message.
  ...uplinkFields({ recordsMax: 100, bytesMax: '100kB', linger: '20ms' }),
}).superRefine(checkMqttConfig);

/** Durations in milliseconds, sizes in bytes. */
export type MqttUplinkConfig = z.infer<typeof mqttUplinkSchema>;

/** Publishes batches of records with QoS 1; the broker's PUBACK acknowledges them. */
export const mqttUplinkKind: UplinkKind<MqttUplinkConfig> = {
  type: 'mqtt',
  schema: mqttUplinkSchema,
  create: ({ id, agentId, config, records, deps }) =>
    new UplinkPump({
      id,
      config,
      records,
      transport: new MqttTransport(id, agentId, config, deps),
      inFlightMax: config.batchesInFlight,
      deps,
    }),
};

/**
 * One connection; what is published on it arrives in order (MQTT 3.1.1, section 4.6), so several batches may be
 * under way at once. A new connection begins only after every batch of the old one has failed.
 */
class MqttTransport implements UplinkTransport {
  readonly #connection: MqttConnection;
  readonly #topic: string;
  readonly #timeoutMs: number;

  constructor(id: string, agentId: string, config: MqttUplinkConfig, deps: Deps) {
    const name = `uplink/${id}`;
    const clientId = randomClientId(deps.random, name);
    this.#connection = new MqttConnection(mqttConnectionOptions(config, { name, clientId }), deps);
    this.#topic = config.topic ?? `andon/v1/${agentId}/records`;
    this.#timeoutMs = config.publishTimeoutMs;
  }

  start(): void {
    this.#connection.start();
  }

  onConnection(listener: (state: ConnectionState) => void): void {
    this.#connection.onState((state) => listener(state.connected ? { connected: true } : state));
  }

  bytesMax(): number | undefined {
    return this.#connection.payloadBytesMax(this.#topic);
  }

  async send({ json }: RecordBatch, signal: AbortSignal): Promise<void> {
    const payload = Buffer.from(json.buffer, json.byteOffset, json.length);
    const options = { qos: 1, retain: false, timeoutMs: this.#timeoutMs } as const;
    try {
      await unlessAborted(this.#connection.publish(this.#topic, payload, options), signal);
    } catch (error) {
      if (errorCode(error) !== 'mqtt-publish-too-large') throw error;
      throw new UplinkError('uplink-batch-too-large', errorMessage(error), { cause: error });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#connection[Symbol.asyncDispose]();
  }
}

/** The promise, or 'uplink-stopped' where the signal is first. */
function unlessAborted(published: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new UplinkError('uplink-stopped', 'The uplink stopped before the broker answered'));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    published.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
