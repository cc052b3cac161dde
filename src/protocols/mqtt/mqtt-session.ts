import { Socket } from 'node:net';
import type { IPublishPacket, MqttClient } from 'mqtt';
import { connect, ReasonCodes } from 'mqtt';
import type { Clock, Timer } from '../../platform/clock.ts';
import { errorMessage, InvariantError, OperatingError } from '../../platform/errors.ts';
import type { MqttConnectionOptions, MqttProtocolVersion } from './mqtt-client-options.ts';
import { mqttClientOptions, RECEIVE_MAX } from './mqtt-client-options.ts';
import { endReason } from './mqtt-end-reason.ts';
import type { MqttErrorCode } from './mqtt-errors.ts';
import { MqttPacketGuard } from './mqtt-packet-guard.ts';

export type MqttPublishOptions = {
  readonly qos: 0 | 1;
  readonly retain: boolean;
  /** For the acknowledgement, from the call. */
  readonly timeoutMs: number;
};

/** What a session tells its owner; nothing after `onEnd`, which comes once, and nothing after `close`. */
export type MqttSessionEvents = {
  onConnected(): void;
  /** The payload is a view of the network buffer: copy what is kept. */
  onMessage(topic: string, payload: Buffer, retain: boolean): void | Promise<void>;
  /** A publish was acknowledged, or failed with `error`. */
  onPublishSettled(error: OperatingError | undefined): void;
  onEnd(reason: OperatingError): void;
};

/** Topics and why the broker refused each. */
export type RefusedTopics = ReadonlyMap<string, string>;

/** Some brokers take no more subscriptions in one packet (AWS IoT Core: 8). */
const TOPICS_PER_SUBSCRIBE = 8;
/** For the goodbye on the line; after it the socket is destroyed. */
const CLOSE_TIMEOUT_MS = 1000;

/** A message that was taken and is not acknowledged yet. */
type Owed = { readonly messageId: number | undefined; settled: boolean };

/** Handed to mqtt.js in place of its acknowledgement: it then goes on with the next packet and sends none itself. */
const OWED = new Error('acknowledged later');

type Pending = {
  readonly resolve: () => void;
  readonly reject: (error: OperatingError) => void;
  readonly timer: Timer;
};

/**
 * One network connection to a broker, from the attempt to its end.
 *
 * Each has a client of its own: mqtt.js would carry unacknowledged messages over into the next connection and
 * send them again, behind the back of the outbox that has already decided what to send.
 */
export class MqttSession {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #events: MqttSessionEvents;
  readonly #connectTimeoutMs: number;
  readonly #client: MqttClient;
  readonly #guard: MqttPacketGuard;
  readonly #pending = new Set<Pending>();
  /** Publishes that wait until the broker's own limit for unacknowledged ones allows them. */
  readonly #held: (() => void)[] = [];
  #releasing = false;
  /** In the order in which they came. */
  readonly #owed: Owed[] = [];
  #acknowledging = false;
  #readOn: (() => void) | undefined;
  #unacknowledged = 0;
  #unacknowledgedMax = 65_535;
  #deadline: Timer | undefined;
  #subscribesOpen = 0;
  #state: 'connecting' | 'connected' | 'ended' = 'connecting';

  /**
   * Begins the attempt.
   * @throws {OperatingError} 'secret-missing' | 'mqtt-unreachable' where there is nothing to begin with.
   */
  constructor(options: MqttConnectionOptions, version: MqttProtocolVersion, events: MqttSessionEvents, clock: Clock) {
    this.#name = options.url;
    this.#clock = clock;
    this.#events = events;
    this.#connectTimeoutMs = options.connectTimeoutMs;
    this.#guard = new MqttPacketGuard(options.maxMessageSizeBytes);
    this.#client = createClient(options, version);
    this.#client.handleMessage = (packet, done) => this.#take(packet, done);
    this.#client.on('connect', () => this.#connected());
    this.#client.on('error', (error) => this.#end(endReason(options, error)));
    this.#client.on('disconnect', ({ reasonCode }) =>
      this.#fail('mqtt-closed', `The broker closed the connection: ${reasonText(reasonCode ?? 0)}`),
    );
    this.#client.on('close', () => this.#fail('mqtt-closed', 'The broker closed the connection'));
    const { stream } = this.#client;
    if (stream instanceof Socket) stream.setNoDelay(true);
    // Ahead of mqtt.js's own listener: nothing is buffered before it is judged.
    stream.prependListener('data', (chunk: Buffer) => this.#judge(chunk, options.maxMessageSizeBytes));
    // Errors with a code come through the client; the others mqtt.js swallows (a web server's refusal, say).
    stream.on('error', (error: Error) => this.#fail('mqtt-unreachable', error.message, error));
    this.#expectWithin('the login');
  }

  get connected(): boolean {
    return this.#state === 'connected';
  }

  /** Publishes handed over and not settled. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /** Largest packet that the broker said it takes (MQTT 5); undefined where it said nothing. */
  get packetBytesMax(): number | undefined {
    return this.#client.serverProperties?.maximumPacketSize;
  }

  /** As `MqttConnection.publish`; the caller keeps the limit. */
  publish(topic: string, payload: string | Buffer, options: MqttPublishOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(() => this.#expire(pending, topic, options.timeoutMs), options.timeoutMs);
      const pending: Pending = { resolve, reject, timer };
      this.#pending.add(pending);
      // Behind what is held already, whatever its QoS: nothing overtakes.
      if (this.#held.length > 0 || (options.qos === 1 && this.#unacknowledged >= this.#unacknowledgedMax))
        this.#held.push(() => this.#send(pending, topic, payload, options));
      else this.#send(pending, topic, payload, options);
    });
  }

  /** @param onAnswer Called once, when the broker has answered for every topic; never after the session's end. */
  subscribe(topics: readonly string[], qos: 0 | 1, onAnswer: (refused: RefusedTopics) => void): void {
    const refused = new Map<string, string>();
    if (topics.length === 0) return onAnswer(refused);
    let chunksOpen = Math.ceil(topics.length / TOPICS_PER_SUBSCRIBE);
    for (let start = 0; start < topics.length; start += TOPICS_PER_SUBSCRIBE) {
      const chunk = topics.slice(start, start + TOPICS_PER_SUBSCRIBE);
      this.#subscribesOpen += 1;
      this.#client.subscribe(chunk, { qos }, (error, _granted, packet) => {
        if (this.#state === 'ended') return;
        for (const [index, topic] of chunk.entries()) {
          const code = packet?.granted[index] ?? 0x80;
          if (typeof code === 'number' && code >= 0x80)
            refused.set(topic, packet === undefined ? errorMessage(error) : reasonText(code));
        }
        this.#subscribesOpen -= 1;
        if (this.#subscribesOpen === 0) this.#deadline?.cancel();
        chunksOpen -= 1;
        if (chunksOpen === 0) onAnswer(refused);
      });
    }
    if (this.#subscribesOpen > 0) this.#expectWithin('the subscriptions');
  }

  /** Says goodbye, so that the broker does not publish the will; nothing is told to the owner any more. */
  async close(): Promise<void> {
    const polite = this.#state === 'connected';
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#settleAll(`the connection to ${this.#name} was closed`);
    // mqtt.js would wait for the acknowledgement of each of these first.
    this.#client.outgoing = {};
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimer(finish, CLOSE_TIMEOUT_MS);
      function finish(): void {
        timer.cancel();
        resolve();
      }
      this.#client.end(!polite, finish);
    });
    this.#client.stream.destroy();
  }

  #connected(): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'connected';
    this.#deadline?.cancel();
    this.#unacknowledgedMax = this.#client.serverProperties?.receiveMaximum ?? this.#unacknowledgedMax;
    this.#events.onConnected();
  }

  #take({ topic, payload, retain, qos, messageId }: IPublishPacket, done: (error?: Error) => void): void {
    // Without done() mqtt.js takes nothing more from this connection.
    if (this.#state === 'ended') return;
    try {
      const taken = this.#events.onMessage(topic, typeof payload === 'string' ? Buffer.from(payload) : payload, retain);
      if (taken === undefined && this.#owed.length === 0) return done();
      const owed: Owed = { messageId: qos === 1 ? messageId : undefined, settled: taken === undefined };
      this.#owed.push(owed);
      if (taken !== undefined) void this.#acknowledgeAfter(taken, topic, owed);
      if (this.#owed.length < RECEIVE_MAX) done(OWED);
      else this.#readOn = () => done(OWED);
    } catch (error) {
      this.#handlerFailed(topic, error);
    }
  }

  async #acknowledgeAfter(taken: Promise<void>, topic: string, owed: Owed): Promise<void> {
    try {
      await taken;
    } catch (error) {
      return this.#handlerFailed(topic, error);
    }
    owed.settled = true;
    if (this.#acknowledging) return;
    this.#acknowledging = true;
    // Once for all that became safe together.
    setImmediate(() => this.#acknowledge());
  }

  /** In the order of the messages. @see MQTT 3.1.1, section 4.6. */
  #acknowledge(): void {
    this.#acknowledging = false;
    if (this.#state === 'ended') return;
    const waiting = this.#owed.findIndex(({ settled }) => !settled);
    const safe = this.#owed.splice(0, waiting === -1 ? this.#owed.length : waiting);
    const packets = safe.flatMap(({ messageId }) => (messageId === undefined ? [] : puback(messageId)));
    if (packets.length > 0) this.#client.stream.write(Buffer.from(packets));
    if (this.#owed.length >= RECEIVE_MAX) return;
    const readOn = this.#readOn;
    this.#readOn = undefined;
    readOn?.();
  }

  /**
   * MQTT has no refusal for a message: only a new connection makes the broker send it again.
   * @throws {InvariantError} Our own bug goes up to whoever ends the agent.
   */
  #handlerFailed(topic: string, error: unknown): void {
    if (error instanceof InvariantError) throw error;
    this.#fail('mqtt-handler-failed', `A message on ${topic} could not be taken over: ${errorMessage(error)}`, error);
  }

  #judge(chunk: Buffer, bytesMax: number): void {
    const breach = this.#guard.check(chunk);
    switch (breach?.kind) {
      case undefined:
        return;
      case 'too-large': {
        const topic = breach.topic === undefined ? '' : ` on ${breach.topic}`;
        const what = `The broker sent a message of ${breach.bytes} bytes${topic}; maxMessageSize is ${bytesMax}`;
        return this.#fail('mqtt-message-too-large', what);
      }
      case 'malformed':
        return this.#fail('mqtt-malformed-packet', `The broker sent what is not MQTT: ${breach.what}`);
    }
  }

  #send(pending: Pending, topic: string, payload: string | Buffer, { qos, retain }: MqttPublishOptions): void {
    if (qos === 1) this.#unacknowledged += 1;
    this.#client.publish(topic, payload, { qos, retain }, (error) => {
      // mqtt.js flushes its callbacks with 'Connection closed' just before it tells that the connection is lost.
      if (this.#state === 'ended' || (error instanceof Error && !isReasonCode(error))) return;
      if (qos === 1) this.#unacknowledged -= 1;
      this.#settle(pending, error instanceof Error ? publishRefused(topic, error) : undefined);
      this.#releaseSoon();
    });
  }

  /** Sends what was held, once for all acknowledgements that came together: one write to the socket instead of many. */
  #releaseSoon(): void {
    if (this.#held.length === 0 || this.#releasing) return;
    this.#releasing = true;
    setImmediate(() => {
      this.#releasing = false;
      while (this.#unacknowledged < this.#unacknowledgedMax && this.#held.length > 0) this.#held.shift()?.();
    });
  }

  /**
   * A broker that does not acknowledge is as good as away, and MQTT 3.1.1 allows to send a message again only
   * on a new connection (section 4.4).
   */
  #expire(pending: Pending, topic: string, timeoutMs: number): void {
    const text = `The broker at ${this.#name} did not acknowledge a message on ${topic} within ${timeoutMs} ms`;
    const error = new OperatingError('mqtt-publish-timeout', 'retry', text);
    this.#settle(pending, error);
    this.#end(error);
  }

  #expectWithin(what: string): void {
    this.#deadline?.cancel();
    this.#deadline = this.#clock.setTimer(
      () => this.#fail('mqtt-connect-timeout', `The broker did not answer ${what} within ${this.#connectTimeoutMs} ms`),
      this.#connectTimeoutMs,
    );
  }

  #fail(code: MqttErrorCode, text: string, cause?: unknown): void {
    this.#end(new OperatingError(code, 'retry', `${text} (${this.#name})`, { cause }));
  }

  #end(reason: OperatingError): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#client.end(true);
    this.#settleAll(reason.message);
    this.#events.onEnd(reason);
  }

  #settleAll(reason: string): void {
    this.#deadline?.cancel();
    this.#held.length = 0;
    const error = new OperatingError('mqtt-not-connected', 'retry', `Connection lost: ${reason}`);
    for (const pending of this.#pending) this.#settle(pending, error);
  }

  #settle(pending: Pending, error: OperatingError | undefined): void {
    pending.timer.cancel();
    this.#pending.delete(pending);
    if (error === undefined) pending.resolve();
    else pending.reject(error);
    this.#events.onPublishSettled(error);
  }
}

function createClient(options: MqttConnectionOptions, version: MqttProtocolVersion): MqttClient {
  const clientOptions = mqttClientOptions(options, version);
  try {
    return connect(clientOptions);
  } catch (error) {
    // TLS material is parsed here; a key that is none throws.
    throw new OperatingError('mqtt-unreachable', 'retry', `${options.url}: ${errorMessage(error)}`, { cause: error });
  }
}

/** With a reason code of 0, which MQTT 5 leaves out. @see MQTT 5, section 3.4. */
function puback(messageId: number): readonly number[] {
  return [0x40, 2, messageId >> 8, messageId & 0xff];
}

/** Whether the error is an answer of the broker: mqtt.js puts its reason code where Node puts a text. */
function isReasonCode(error: Error): boolean {
  return 'code' in error && typeof error.code === 'number';
}

function publishRefused(topic: string, error: Error): OperatingError {
  const text = `The broker refused a message on ${topic}: ${error.message}`;
  return new OperatingError('mqtt-publish-refused', 'retry', text, { cause: error });
}

function reasonText(code: number): string {
  const texts: Readonly<Record<number, string>> = ReasonCodes;
  return texts[code] ?? `reason code ${code}`;
}
