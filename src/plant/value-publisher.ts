import { configObject } from '../platform/config-fields.ts';
import type { Deps } from '../platform/deps.ts';
import { mqttConnectionOptions, mqttFields, randomClientId } from '../protocols/mqtt/mqtt-config.ts';
import { MqttConnection } from '../protocols/mqtt/mqtt-connection.ts';

/** Deadline of a message; a later live value is useless. */
const PUBLISH_TIMEOUT_MS = 1000;
/** Messages in flight, well below the limit of the connection. */
const MESSAGES_AT_ONCE = 100;

export type PublishedValue = { readonly topic: string; readonly payload: Readonly<Record<string, number>> };

/**
 * Publishes live values as a sensor does, with QoS 0. Values that cannot be sent now are dropped and counted; the
 * connection returns automatically.
 */
export class ValuePublisher implements AsyncDisposable {
  readonly #connection: MqttConnection;
  #dropped = 0;

  /** @param name Component in the metrics of the connection. */
  constructor(options: { readonly url: string; readonly name: string }, deps: Deps) {
    const config = configObject(mqttFields).parse({ url: options.url });
    const clientId = randomClientId(deps.random, options.name);
    this.#connection = new MqttConnection(mqttConnectionOptions(config, { name: options.name, clientId }), deps);
  }

  /** Number of values that were not sent in time or had no connection. */
  get dropped(): number {
    return this.#dropped;
  }

  start(): void {
    this.#connection.start();
  }

  /** Resolves when every value was sent or dropped, so that a caller that waits keeps the pace of the broker. */
  async publish(values: readonly PublishedValue[]): Promise<void> {
    for (let from = 0; from < values.length; from += MESSAGES_AT_ONCE) {
      const sent = await Promise.allSettled(
        values.slice(from, from + MESSAGES_AT_ONCE).map(({ topic, payload }) =>
          this.#connection.publish(topic, JSON.stringify(payload), {
            qos: 0,
            retain: false,
            timeoutMs: PUBLISH_TIMEOUT_MS,
          }),
        ),
      );
      this.#dropped += sent.filter(({ status }) => status === 'rejected').length;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }
}
