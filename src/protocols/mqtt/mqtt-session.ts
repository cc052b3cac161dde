import { type IPublishPacket, MqttClient, ReasonCodes } from 'mqtt';
import type { Clock, Timer } from '../../platform/clock.ts';
import { errorMessage, InvariantError, OperatingError } from '../../platform/errors.ts';
import {
  expiryOf,
  mqttClientOptions,
  type MqttConnectionOptions,
  type MqttProtocolVersion,
  RECEIVE_MAX,
} from './mqtt-client-options.ts';
import { endReason } from './mqtt-end-reason.ts';
import { type MqttErrorCode, mqttFailure } from './mqtt-errors.ts';
import { MqttOutgoingStore } from './mqtt-outgoing-store.ts';
import { KEPT_LENGTHS, prepareMqttPackets } from './mqtt-packet-cache.ts';
import { MqttStream } from './mqtt-stream.ts';
import { takeoverRemedy } from './mqtt-takeover.ts';
import { openTransport } from './mqtt-transport.ts';

export type MqttPublishOptions = {
  readonly qos: 0 | 1;
  readonly retain: boolean;
  /** Longest wait for the acknowledgement, measured from the call. */
  readonly timeoutMs: number;
  /** Time after which the broker no longer delivers the message. MQTT 5 only. Default: never. */
  readonly expiryMs?: number;
};

/** Callbacks of a session. `onEnd` is called once, and nothing is called after it or after `close`. */
export type MqttSessionEvents = {
  onConnected(): void;
  /** The payload is a view of the network buffer: copy it to keep it. */
  onMessage(topic: string, payload: Buffer, retain: boolean): void | Promise<void>;
  /** A publish was acknowledged, or failed with `error`. */
  onPublishSettled(error: OperatingError | undefined): void;
  onEnd(reason: OperatingError): void;
};

/** Refused topics with the reason of the broker. */
export type RefusedTopics = ReadonlyMap<string, string>;

/** Some brokers accept no more subscriptions in one packet (AWS IoT Core: 8). */
const TOPICS_PER_SUBSCRIBE = 8;
/** Longest wait for the DISCONNECT to be sent; then the connection is destroyed. */
const CLOSE_TIMEOUT_MS = 1000;

/** Reason codes of MQTT 5. */
const SESSION_TAKEN_OVER = 0x8e;
const PACKET_TOO_LARGE = 0x95;
const PAYLOAD_FORMAT_INVALID = 0x99;

/** A received message; `acks` is the number of PUBACKs that it needs. */
type UnstoredMessage = { readonly acks: 0 | 1; stored: boolean };

type Pending = {
  readonly resolve: () => void;
  readonly reject: (error: OperatingError) => void;
  readonly timer: Timer;
};

/**
 * One network connection to a broker, from the attempt to its end.
 *
 * Each connection has its own mqtt.js client. A client that is used again would resend unacknowledged messages that
 * the outbox also resends.
 */
export class MqttSession {
  readonly #options: MqttConnectionOptions;
  readonly #version: MqttProtocolVersion;
  readonly #clock: Clock;
  readonly #events: MqttSessionEvents;
  readonly #stream: MqttStream;
  readonly #client: MqttClient;
  readonly #outgoing = new MqttOutgoingStore();
  readonly #pending = new Set<Pending>();
  /** Publishes that wait because the broker limits the number of unacknowledged ones. */
  readonly #held: (() => void)[] = [];
  #releasing = false;
  /** Messages that are not stored yet and those received after them, in their order. */
  readonly #unstored: UnstoredMessage[] = [];
  #acknowledging = false;
  #readOn: (() => void) | undefined;
  /** Ids of the publishes and subscribes that the broker has not answered. */
  readonly #unanswered = new Set<number>();
  #unacknowledged = 0;
  #unacknowledgedMax = 65_535;
  #deadline: Timer | undefined;
  #subscribesOpen = 0;
  #state: 'connecting' | 'connected' | 'ended' = 'connecting';

  /**
   * Starts the attempt.
   * @throws {OperatingError} 'secret-missing' | 'mqtt-unreachable' if a file of the options cannot be read.
   */
  constructor(options: MqttConnectionOptions, version: MqttProtocolVersion, events: MqttSessionEvents, clock: Clock) {
    this.#options = options;
    this.#version = version;
    this.#clock = clock;
    this.#events = events;
    const clientOptions = { ...mqttClientOptions(options, version), outgoingStore: this.#outgoing };
    const stream = new MqttStream(openTransport(options), options.maxMessageSizeBytes);
    // Before mqtt.js, which ignores errors without a code (the refusal of a web server, for example).
    stream.on('error', (error: Error) => this.#streamFailed(error));
    this.#stream = stream;
    this.#client = new MqttClient(() => stream, clientOptions);
    this.#client.handleMessage = (packet, done) => this.#take(packet, done);
    this.#client.on('connect', () => this.#connected());
    this.#client.on('error', (error) => this.#end(endReason(options, error)));
    this.#client.on('disconnect', ({ reasonCode = 0 }) => {
      const remedy = reasonCode === SESSION_TAKEN_OVER ? `; ${takeoverRemedy(options.clientId)}` : '';
      this.#fail('mqtt-closed', `The broker closed the connection: ${reasonText(reasonCode)}${remedy}`);
    });
    this.#client.on('close', () => this.#fail('mqtt-closed', 'The broker closed the connection'));
    this.#expectWithin('the login');
  }

  get connected(): boolean {
    return this.#state === 'connected';
  }

  /** Number of publishes that are not settled. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /** Largest packet that the broker accepts (MQTT 5); undefined if it sent no limit. */
  get packetBytesMax(): number | undefined {
    return this.#client.serverProperties?.maximumPacketSize;
  }

  /** False if the broker has announced that it keeps no retained messages (MQTT 5). */
  get retainAvailable(): boolean {
    return this.#client.serverProperties?.retainAvailable !== false;
  }

  /** As `MqttConnection.publish`; the caller enforces the limit. */
  publish(topic: string, payload: string | Buffer, options: MqttPublishOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(() => this.#expire(pending, topic, options.timeoutMs), options.timeoutMs);
      const pending: Pending = { resolve, reject, timer };
      this.#pending.add(pending);
      // Messages keep their order, with any QoS.
      if (this.#held.length > 0 || (options.qos === 1 && this.#unacknowledged >= this.#unacknowledgedMax))
        this.#held.push(() => this.#send(pending, topic, payload, options));
      else this.#send(pending, topic, payload, options);
    });
  }

  /** @param onAnswer Called once, when the broker has answered for every topic; never after the end of the session. */
  subscribe(topics: readonly string[], qos: 0 | 1, onAnswer: (refused: RefusedTopics) => void): void {
    const refused = new Map<string, string>();
    if (topics.length === 0) return onAnswer(refused);
    let chunksOpen = Math.ceil(topics.length / TOPICS_PER_SUBSCRIBE);
    for (let start = 0; start < topics.length; start += TOPICS_PER_SUBSCRIBE) {
      const chunk = topics.slice(start, start + TOPICS_PER_SUBSCRIBE);
      this.#subscribesOpen += 1;
      this.#client.subscribe(chunk, { qos }, (error, _granted, packet) => {
        if (this.#state === 'ended') return;
        this.#unanswered.delete(messageId);
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
      const messageId = this.#client.getLastMessageId();
      this.#unanswered.add(messageId);
    }
    if (this.#subscribesOpen > 0) this.#expectWithin('the subscriptions');
  }

  /** Sends DISCONNECT, so that the broker publishes the will only with `willAtClose`. No callback is called after this. */
  async close(): Promise<void> {
    if (this.#state === 'ended') return;
    const force = this.#state === 'connecting';
    this.#state = 'ended';
    this.#settleAll(`the connection to ${this.#options.url} was closed`);
    // mqtt.js sends DISCONNECT only after every message has its answer or is removed.
    for (const messageId of this.#unanswered) this.#client.removeOutgoingMessage(messageId);
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimer(finish, CLOSE_TIMEOUT_MS);
      function finish(): void {
        timer.cancel();
        resolve();
      }
      // 4: disconnect with will message.
      this.#client.end(force, this.#options.willAtClose ? { reasonCode: 4 } : {}, finish);
    });
    this.#stream.destroy();
  }

  #connected(): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'connected';
    this.#deadline?.cancel();
    this.#unacknowledgedMax = this.#client.serverProperties?.receiveMaximum ?? this.#unacknowledgedMax;
    this.#events.onConnected();
  }

  #take({ topic, payload, retain, qos }: IPublishPacket, done: () => void): void {
    // Without done() mqtt.js reads no more from this connection.
    if (this.#state === 'ended') return;
    try {
      const stored = this.#events.onMessage(
        topic,
        typeof payload === 'string' ? Buffer.from(payload) : payload,
        retain,
      );
      const acks = qos === 1 ? 1 : 0;
      if (stored === undefined && this.#unstored.length === 0) this.#stream.releaseAcks(acks);
      else {
        const message: UnstoredMessage = { acks, stored: stored === undefined };
        this.#unstored.push(message);
        if (stored !== undefined) void this.#acknowledgeAfter(stored, topic, message);
      }
      // mqtt.js writes the PUBACK in done(); the stream holds it.
      if (this.#unstored.length < RECEIVE_MAX) done();
      else this.#readOn = done;
    } catch (error) {
      this.#handlerFailed(topic, error);
    }
  }

  async #acknowledgeAfter(stored: Promise<void>, topic: string, message: UnstoredMessage): Promise<void> {
    try {
      await stored;
    } catch (error) {
      return this.#handlerFailed(topic, error);
    }
    message.stored = true;
    if (this.#acknowledging) return;
    this.#acknowledging = true;
    // One write for all messages that were stored together.
    setImmediate(() => this.#acknowledge());
  }

  /** Acknowledges in the order of the messages. @see MQTT 3.1.1, section 4.6. */
  #acknowledge(): void {
    this.#acknowledging = false;
    if (this.#state === 'ended') return;
    const waiting = this.#unstored.findIndex(({ stored }) => !stored);
    const stored = this.#unstored.splice(0, waiting === -1 ? this.#unstored.length : waiting);
    this.#stream.releaseAcks(stored.reduce((sum, { acks }) => sum + acks, 0));
    if (this.#unstored.length >= RECEIVE_MAX) return;
    const readOn = this.#readOn;
    this.#readOn = undefined;
    readOn?.();
  }

  /**
   * Ends the connection: MQTT cannot refuse a message, and the broker sends it again on a new connection only.
   * @throws {InvariantError} A bug of our own ends the agent.
   */
  #handlerFailed(topic: string, error: unknown): void {
    if (error instanceof InvariantError) throw error;
    this.#fail('mqtt-handler-failed', `A message on ${topic} could not be processed: ${errorMessage(error)}`, error);
  }

  #streamFailed(error: Error): void {
    if ('code' in error) this.#end(endReason(this.#options, error));
    else this.#fail('mqtt-unreachable', error.message, error);
  }

  #send(pending: Pending, topic: string, payload: string | Buffer, options: MqttPublishOptions): void {
    const { qos, retain, expiryMs } = options;
    if (qos === 1) this.#unacknowledged += 1;
    if (payload.length < KEPT_LENGTHS) prepareMqttPackets();
    if (typeof payload !== 'string') this.#outgoing.protect(payload);
    this.#client.publish(topic, payload, { qos, retain, ...expiryOf(expiryMs, this.#version) }, (error) => {
      // mqtt.js calls back with 'Connection closed' just before it reports that the connection is lost.
      if (this.#state === 'ended' || (error instanceof Error && !isReasonCode(error))) return;
      if (qos === 1) {
        this.#unacknowledged -= 1;
        this.#unanswered.delete(messageId);
      }
      this.#settle(pending, error instanceof Error ? this.#publishRefused(topic, error, messageId) : undefined);
      this.#releaseSoon();
    });
    const messageId = qos === 1 ? this.#client.getLastMessageId() : 0;
    if (qos === 1) this.#unanswered.add(messageId);
  }

  #publishRefused(topic: string, error: Error, messageId: number): OperatingError {
    const code = this.#stream.takeReplacedReason(messageId) ?? ('code' in error ? Number(error.code) : 0);
    const text = `The broker refused a message on ${topic}: ${reasonText(code)}`;
    if (code === PACKET_TOO_LARGE) return mqttFailure('mqtt-publish-too-large', text, { cause: error });
    if (code === PAYLOAD_FORMAT_INVALID) return mqttFailure('mqtt-payload-refused', text, { cause: error });
    return mqttFailure('mqtt-publish-refused', text, { cause: error });
  }

  /** Sends the held publishes, once for all acknowledgements of a turn: one write to the socket instead of many. */
  #releaseSoon(): void {
    if (this.#held.length === 0 || this.#releasing) return;
    this.#releasing = true;
    setImmediate(() => {
      this.#releasing = false;
      while (this.#unacknowledged < this.#unacknowledgedMax && this.#held.length > 0) this.#held.shift()?.();
    });
  }

  /** Ends the connection: MQTT 3.1.1 allows a message to be sent again on a new connection only (section 4.4). */
  #expire(pending: Pending, topic: string, timeoutMs: number): void {
    const text = `The broker at ${this.#options.url} did not acknowledge a message on ${topic} within ${timeoutMs} ms`;
    const error = mqttFailure('mqtt-publish-timeout', text);
    this.#settle(pending, error);
    this.#end(error);
  }

  #expectWithin(what: string): void {
    const { connectTimeoutMs } = this.#options;
    this.#deadline?.cancel();
    this.#deadline = this.#clock.setTimer(
      () => this.#fail('mqtt-connect-timeout', `The broker did not answer ${what} within ${connectTimeoutMs} ms`),
      connectTimeoutMs,
    );
  }

  #fail(code: MqttErrorCode, text: string, cause?: unknown): void {
    this.#end(new OperatingError(code, 'retry', `${text} (${this.#options.url})`, { cause }));
  }

  #end(reason: OperatingError): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#client.end(true);
    this.#settleAll(reason.message, reason);
    this.#events.onEnd(reason);
  }

  #settleAll(reason: string, cause?: OperatingError): void {
    this.#deadline?.cancel();
    this.#held.length = 0;
    const error = mqttFailure('mqtt-not-connected', `Connection lost: ${reason}`, { cause });
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

/** True if the error is an answer of the broker: mqtt.js stores its reason code in place of Node's error name. */
function isReasonCode(error: Error): boolean {
  return 'code' in error && typeof error.code === 'number';
}

function reasonText(code: number): string {
  const texts: Readonly<Record<number, string>> = ReasonCodes;
  return texts[code] ?? `reason code ${code}`;
}
