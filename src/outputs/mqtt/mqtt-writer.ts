import type { OutputWriter } from '../../contracts/outputs/output.ts';
import type { OutputValue } from '../../domain/output/output-schedule.ts';
import type { Deps } from '../../platform/deps.ts';
import { MqttConnection } from '../../protocols/mqtt/mqtt-connection.ts';
import { mqttConnectionOptions, randomClientId } from '../../protocols/mqtt/mqtt-config.ts';
import type { MqttOutputConfig } from './mqtt-output-config.ts';

export type MqttWriterOptions = {
  readonly id: string;
  readonly config: MqttOutputConfig;
  readonly safe: OutputValue;
  readonly deps: Deps;
};

/**
 * Publishes commands with QoS 1, which expire and are never retained. The broker publishes the safe value if the connection ends
 * without a DISCONNECT (last will), so that a killed agent is safe after 1.5 times the keep-alive interval at most.
 */
export class MqttWriter implements OutputWriter {
  readonly #connection: MqttConnection;
  readonly #config: MqttOutputConfig;
  #isStarted = false;
  #onConnected: (() => void) | undefined;
  readonly #deps: Deps;

  constructor({ id, config, safe, deps }: MqttWriterOptions) {
    this.#config = config;
    this.#deps = deps;
    const name = `output/${id}`;
    this.#connection = new MqttConnection(
      mqttConnectionOptions(
        { ...config, protocolVersion: '5' },
        {
          name,
          clientId: randomClientId(deps.random, name),
          will: {
            topic: config.topic,
            payload: String(safe),
            qos: 1,
            retain: false,
            expiryMs: config.expiryMs,
          },
        },
      ),
      deps,
    );
    this.#connection.onState(({ connected }) => {
      if (connected) this.#onConnected?.();
    });
  }

  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#connection.start();
  }

  async write(value: OutputValue): Promise<void> {
    this.start();
    const { topic, timeoutMs, expiryMs } = this.#config;
    const { clock } = this.#deps;
    const startedMs = clock.monotonicMs();
    if (!this.#connection.connected) await this.#connectedWithin(timeoutMs);
    const leftMs = Math.max(1, timeoutMs - (clock.monotonicMs() - startedMs));
    await this.#connection.publish(topic, String(value), { qos: 1, retain: false, timeoutMs: leftMs, expiryMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  /** Waits for the connection; the publish then reports if there is none. */
  #connectedWithin(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        this.#onConnected = undefined;
        resolve();
      };
      const timer = this.#deps.clock.setTimer(done, timeoutMs);
      this.#onConnected = done;
    });
  }
}
