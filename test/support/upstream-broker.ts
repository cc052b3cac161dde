import { type AddressInfo, createServer, type Server } from 'node:net';
import { Aedes } from 'aedes';
import { Recorder } from './broker-recorder.ts';

/** Fault of the broker on the next publish, instead of storing and acknowledging it. */
export type BrokerFault =
  /** Stores nothing, and ends the connection. */
  | 'lose'
  /** Stores, and ends the connection before the PUBACK: the agent must repeat. */
  | 'store-then-lose';

export type Published = {
  readonly topic: string;
  readonly payload: string;
  readonly retain: boolean;
  readonly qos: number;
};

/** A broker with fault switches; records every message, including repeats. Retained messages survive a stop. */
export class UpstreamBroker implements AsyncDisposable {
  /** Taken from the front, one for each publish. */
  readonly faults: (BrokerFault | undefined)[] = [];
  /** Every publish that was stored, including wills, in order of arrival. */
  readonly published = new Recorder<Published>();
  /** Last message of each retained topic. */
  readonly retained = new Map<string, string>();
  /** While true no PUBACK is sent; `release` sends those held. */
  holds = false;
  heldMost = 0;
  #held: (() => void)[] = [];
  #broker: Aedes | undefined;
  #server: Server | undefined;
  #port = 0;

  async listen(): Promise<this> {
    const lost = new WeakSet<object>();
    const broker = await Aedes.createBroker({
      authorizePublish: (client, { topic, payload, retain, qos }, done) => {
        // Messages after a lost one on the same connection are lost too; aedes would still accept those it has read.
        if (client !== null && lost.has(client) && !client.closed) return;
        // A disconnected client publishes only its will.
        const fault = client === null || client.closed ? undefined : this.faults.shift();
        if (fault !== undefined && client !== null) lost.add(client);
        if (fault !== 'lose') this.#store({ topic, payload: payload.toString(), retain, qos });
        if (fault !== undefined) client?.conn.destroy();
        else if (this.holds) this.#hold(() => done(null));
        else done(null);
      },
    });
    const server = createServer((socket) => void broker.handle(socket));
    await new Promise<void>((resolve) => {
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#broker = broker;
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
    return this;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  release(): void {
    this.holds = false;
    for (const go of this.#held.splice(0)) go();
  }

  /** Payloads on a topic, parsed, in order of arrival. */
  on(topic: string): readonly unknown[] {
    return this.published.items.filter((one) => one.topic === topic).map(({ payload }) => JSON.parse(payload));
  }

  /** Ends every connection; `listen` uses the same port again. */
  async stop(): Promise<void> {
    const [broker, server] = [this.#broker, this.#server];
    this.#broker = undefined;
    this.#held = [];
    if (broker === undefined || server === undefined) return;
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    await new Promise<void>((resolve) => {
      broker.close(() => resolve());
    });
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #store(message: Published): void {
    if (message.topic.startsWith('$SYS')) return;
    if (message.retain) this.retained.set(message.topic, message.payload);
    this.published.push(message);
  }

  #hold(go: () => void): void {
    this.#held.push(go);
    this.heldMost = Math.max(this.heldMost, this.#held.length);
  }
}
