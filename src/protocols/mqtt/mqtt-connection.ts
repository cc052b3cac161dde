import { Backoff } from '../../platform/backoff.ts';
import type { Timer } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode, errorMessage, invariant, OperatingError } from '../../platform/errors.ts';
import { type MqttConnectionOptions, type MqttProtocolVersion, STRING_BYTES_MAX } from './mqtt-client-options.ts';
import { mqttMetrics } from './mqtt-metrics.ts';
import { isPlainTopic, matchesTopicFilter, parseTopicFilter, type TopicFilter } from './mqtt-topic-filter.ts';
import { type MqttPublishOptions, MqttSession, type RefusedTopics } from './mqtt-session.ts';
import { mqttFailure } from './mqtt-errors.ts';
import { EARLY_MS, TakeoverMonitor } from './mqtt-takeover.ts';

export type MqttState =
  | {
      readonly connected: false;
      /** Why it is not connected. */
      readonly reason: string;
      /** Code of the error that ended the connection. */
      readonly code: string;
      /** True if the broker refused a retained will because it keeps no retained messages (MQTT 5). */
      readonly retainRefused: boolean;
      /** Time to the next attempt. */
      readonly retryInMs: number;
      readonly subscribed: false;
      readonly refusedTopics: readonly string[];
    }
  | {
      readonly connected: true;
      /** Subscriptions that the broker refused, or that connections ended soon; undefined if neither. */
      readonly reason: string | undefined;
      /** True once the broker has answered every subscription of this connection. */
      readonly subscribed: boolean;
      /** Topics whose subscription the broker refused; retried every 60 s. */
      readonly refusedTopics: readonly string[];
    };

/** Receives a message; its promise resolves when the message is stored. The payload is valid during the call only. */
export type MqttMessageHandler = (topic: string, payload: Buffer, retain: boolean) => void | Promise<void>;

type Subscription = {
  readonly topics: readonly string[];
  readonly qos: 0 | 1;
  readonly onMessage: MqttMessageHandler;
};

/** Maximum number of unacknowledged publishes; more are refused, so that the outbox is the only queue. */
const IN_FLIGHT_MAX = 200;
/** Largest header of a PUBLISH: type, remaining length, length of the topic, message id, no properties. */
const PUBLISH_HEAD_BYTES = 1 + 4 + 2 + 2 + 1;
/** After a connection of this duration the wait before the next attempt starts at the minimum again. */
const STABLE_MS = 10_000;
/** CONNACK reason code of MQTT 5. */
const RETAIN_NOT_SUPPORTED = 0x9a;
/** A broker may change access rights without a reconnect. */
const REFUSED_RETRY_MS = 60_000;

/**
 * A connection to a broker that reconnects without a limit on attempts. It queues nothing while disconnected.
 *
 * The wait between attempts grows from `reconnectMinMs` to `reconnectMaxMs` with jitter, also after a refused login.
 * The connection ends on an oversized message, a malformed packet, a publish without acknowledgement and a keepalive
 * without answer. The owner gets each change through `onState` and reports it; the connection logs nothing.
 */
export class MqttConnection implements AsyncDisposable {
  readonly #options: MqttConnectionOptions;
  readonly #deps: Deps;
  readonly #backoff: Backoff;
  readonly #metrics: ReturnType<typeof metricsOf>;
  readonly #listeners: ((state: MqttState) => void)[] = [];
  readonly #subscriptions: Subscription[] = [];
  /** Handlers by topic; those of filters with wildcards are in `#wildcards`. */
  readonly #handlers = new Map<string, MqttMessageHandler>();
  readonly #wildcards: { readonly filter: TopicFilter; readonly onMessage: MqttMessageHandler }[] = [];
  readonly #refused = new Map<string, string>();
  #version: MqttProtocolVersion;
  #session: MqttSession | undefined;
  #connectedAtMs: number | undefined;
  #answersOpen = 0;
  #timer: Timer | undefined;
  readonly #takeovers: TakeoverMonitor;
  /** Runs while a new connection may end as the ones before it. */
  #lasting: Timer | undefined;
  #phase: 'new' | 'started' | 'disposed' = 'new';

  constructor(options: MqttConnectionOptions, deps: Deps) {
    this.#options = options;
    this.#deps = deps;
    this.#version = options.protocolVersion === 'auto' ? 5 : options.protocolVersion;
    this.#backoff = new Backoff({
      firstMs: options.reconnectMinMs,
      maxMs: options.reconnectMaxMs,
      random: deps.random,
    });
    this.#metrics = metricsOf(deps, options.name);
    this.#takeovers = new TakeoverMonitor(options.clientId, options.isClientIdChosen);
  }

  /** Starts to connect and returns; call it once. */
  start(): void {
    invariant(this.#phase !== 'started', `The MQTT connection of ${this.#options.name} was started twice`);
    if (this.#phase === 'disposed') return;
    this.#phase = 'started';
    this.#attempt();
  }

  get connected(): boolean {
    return this.#session?.connected === true;
  }

  /** 4 is MQTT 3.1.1, 5 is MQTT 5; the version of the current or next attempt. */
  get protocolVersion(): MqttProtocolVersion {
    return this.#version;
  }

  /** Largest payload on `topic` that the broker accepts, in bytes; undefined if it sent no limit. */
  payloadBytesMax(topic: string): number | undefined {
    const bytesMax = this.#session?.packetBytesMax;
    return bytesMax === undefined ? undefined : bytesMax - PUBLISH_HEAD_BYTES - Buffer.byteLength(topic);
  }

  /** The listener is called at each change, in order, synchronously. */
  onState(listener: (state: MqttState) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Sends one message immediately, or fails. It is not retained if the broker keeps no retained messages. With MQTT 3.1.1 a broker also acknowledges messages that its access
   * rules drop; only MQTT 5 reports them.
   *
   * @returns Resolves on the acknowledgement of the broker; with QoS 0 when the message was written to the stream.
   * @throws {OperatingError} 'mqtt-not-connected' | 'mqtt-publish-timeout' | 'mqtt-too-many-in-flight' (more than
   *   200) | 'mqtt-publish-refused' (retry); 'mqtt-message-invalid' | 'mqtt-publish-too-large' |
   *   'mqtt-payload-refused' (reject).
   */
  publish(topic: string, payload: string | Buffer, options: MqttPublishOptions): Promise<void> {
    const session = this.#session;
    const refusal = this.#refusal(session, topic, payload);
    if (refusal !== undefined || session === undefined) {
      this.#metrics.failure(refusal);
      return Promise.reject(refusal ?? this.#notConnected());
    }
    const published = session.publish(topic, payload, {
      ...options,
      retain: options.retain && session.retainAvailable,
    });
    this.#metrics.inFlight.set(session.inFlight);
    return published;
  }

  /**
   * Subscribes now and after each connect.
   *
   * Messages are delivered in order; the payload is valid during the call. With QoS 1 the broker gets the
   * acknowledgement after the promise of the handler has resolved, in the order of the messages. If the handler fails,
   * the message stays unacknowledged and the connection ends; the broker sends the message again if it keeps the
   * session. While 1000 messages wait, no packet is read from the broker, including acknowledgements and pings.
   *
   * @param topics Topics, filters with wildcards or shared subscriptions; each may have one handler. The handler of
   *   the exact topic gets a message before the first filter that matches.
   */
  subscribe(topics: readonly string[], onMessage: MqttMessageHandler, qos: 0 | 1 = 1): void {
    const subscription = { topics, qos, onMessage };
    this.#subscriptions.push(subscription);
    for (const topic of topics) {
      if (isPlainTopic(topic)) this.#handlers.set(topic, onMessage);
      else this.#wildcards.push({ filter: parseTopicFilter(topic), onMessage });
    }
    if (this.connected) this.#subscribe([subscription]);
  }

  /** Sends DISCONNECT and connects again, with a new will. The listeners get the reason, as after a loss. */
  async reconnect(reason: OperatingError): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
    if (session === undefined || this.#phase !== 'started') return;
    this.#backoff.reset();
    this.#whenEnded(reason);
  }

  /** Sends DISCONNECT, so that the broker publishes the will only with `willAtClose`. Publishes in flight fail with 'mqtt-not-connected'. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#phase = 'disposed';
    this.#listeners.length = 0;
    this.#timer?.cancel();
    this.#lasting?.cancel();
    const session = this.#session;
    this.#session = undefined;
    this.#metrics.connected.set(0);
    await session?.close();
  }

  #attempt(): void {
    this.#metrics.attempts.inc();
    this.#refused.clear();
    this.#answersOpen = 0;
    try {
      const session: MqttSession = new MqttSession(
        this.#options,
        this.#version,
        {
          onConnected: () => this.#whenConnected(),
          onMessage: (topic, payload, retain) => this.#deliver(topic, payload, retain),
          onPublishSettled: (error) => this.#countPublish(error),
          onEnd: (reason) => this.#whenEnded(reason),
        },
        this.#deps.clock,
      );
      this.#session = session;
    } catch (error) {
      this.#whenEnded(
        error instanceof OperatingError
          ? error
          : mqttFailure('mqtt-unreachable', errorMessage(error), { cause: error }),
      );
    }
  }

  #whenConnected(): void {
    this.#connectedAtMs = this.#deps.clock.monotonicMs();
    this.#metrics.connected.set(1);
    if (this.#takeovers.suspicion !== undefined)
      this.#lasting = this.#deps.clock.setTimer(() => {
        this.#takeovers.lasted();
        this.#notifyConnected();
      }, EARLY_MS);
    if (this.#subscriptions.length === 0) this.#notifyConnected();
    else this.#subscribe(this.#subscriptions);
  }

  #whenEnded(reason: OperatingError): void {
    const connectedAtMs = this.#connectedAtMs;
    this.#session = undefined;
    this.#connectedAtMs = undefined;
    this.#timer?.cancel();
    this.#lasting?.cancel();
    this.#metrics.connected.set(0);
    if (this.#fallsBack(reason)) return;
    this.#metrics.losses.inc({ connection: this.#options.name, code: reason.code });
    if (connectedAtMs === undefined) this.#switchVersion(reason);
    else {
      const livedMs = this.#deps.clock.monotonicMs() - connectedAtMs;
      this.#takeovers.ended(reason.code, livedMs);
      if (livedMs >= STABLE_MS) this.#backoff.reset();
    }
    const retryInMs = this.#backoff.nextMs();
    this.#timer = this.#deps.clock.setTimer(() => this.#attempt(), retryInMs);
    this.#notify({
      connected: false,
      reason: joined(reason.message, this.#takeovers.suspicion) ?? '',
      code: reason.code,
      retainRefused: reasonCodeOf(reason) === RETAIN_NOT_SUPPORTED,
      retryInMs,
      subscribed: false,
      refusedTopics: [],
    });
  }

  /** Retries immediately with 3.1.1, without a report, if the broker refused MQTT 5: it is reachable and works. */
  #fallsBack(reason: OperatingError): boolean {
    if (this.#options.protocolVersion !== 'auto' || this.#version === 4 || !isVersionRefused(reason)) return false;
    this.#version = 4;
    this.#timer = this.#deps.clock.setTimer(() => this.#attempt(), 0);
    return true;
  }

  /** Tries the other version next: a broker without MQTT 5 may also close the connection or answer in 3.1.1. */
  #switchVersion({ code }: OperatingError): void {
    if (this.#options.protocolVersion !== 'auto') return;
    if (code === 'mqtt-closed' || code === 'mqtt-malformed-packet') this.#version = this.#version === 5 ? 4 : 5;
  }

  #subscribe(subscriptions: readonly Subscription[]): void {
    const session = this.#session;
    this.#answersOpen += subscriptions.length;
    this.#notifyConnected();
    for (const { topics, qos } of subscriptions)
      session?.subscribe(topics, qos, (refused) => this.#whenSubscribed(topics, refused));
  }

  #whenSubscribed(topics: readonly string[], refused: RefusedTopics): void {
    this.#answersOpen -= 1;
    for (const topic of topics) this.#refused.delete(topic);
    for (const [topic, reason] of refused) this.#refused.set(topic, reason);
    this.#notifyConnected();
    if (this.#answersOpen > 0 || this.#refused.size === 0) return;
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.setTimer(() => this.#retryRefused(), REFUSED_RETRY_MS);
  }

  #retryRefused(): void {
    this.#subscribe(
      this.#subscriptions
        .map((subscription) => ({
          ...subscription,
          topics: subscription.topics.filter((topic) => this.#refused.has(topic)),
        }))
        .filter(({ topics }) => topics.length > 0),
    );
  }

  #deliver(topic: string, payload: Buffer, retain: boolean): void | Promise<void> {
    const handler = this.#handlers.get(topic) ?? this.#wildcardHandler(topic);
    // A kept session may still contain a subscription of an earlier configuration.
    if (handler === undefined) return undefined;
    this.#metrics.received.inc();
    return handler(topic, payload, retain);
  }

  #wildcardHandler(topic: string): MqttMessageHandler | undefined {
    if (this.#wildcards.length === 0) return undefined;
    const levels = topic.split('/');
    return this.#wildcards.find(({ filter }) => matchesTopicFilter(filter, levels))?.onMessage;
  }

  #countPublish(error: OperatingError | undefined): void {
    if (error === undefined) this.#metrics.published.inc();
    else this.#metrics.failure(error);
    this.#metrics.inFlight.set(this.#session?.inFlight ?? 0);
  }

  #refusal(session: MqttSession | undefined, topic: string, payload: string | Buffer): OperatingError | undefined {
    if (session?.connected !== true) return this.#notConnected();
    if (session.inFlight >= IN_FLIGHT_MAX) {
      const text = `${IN_FLIGHT_MAX} messages already wait for the acknowledgement of ${this.#options.url}`;
      return mqttFailure('mqtt-too-many-in-flight', text);
    }
    if (!isTopicName(topic))
      return mqttFailure('mqtt-message-invalid', `${JSON.stringify(topic)} is not a valid topic to publish on`);
    const bytesMax = session.packetBytesMax;
    if (bytesMax === undefined) return undefined;
    // A broker closes the connection if a packet exceeds its limit, at each attempt to send it.
    const bytes = PUBLISH_HEAD_BYTES + Buffer.byteLength(topic) + Buffer.byteLength(payload);
    if (bytes <= bytesMax) return undefined;
    const text = `A message of ${bytes} bytes on ${topic} exceeds the limit of the broker, ${bytesMax} bytes`;
    return mqttFailure('mqtt-publish-too-large', text);
  }

  #notConnected(): OperatingError {
    return mqttFailure('mqtt-not-connected', `Not connected to ${this.#options.url}`);
  }

  #notifyConnected(): void {
    this.#notify({
      connected: true,
      reason: joined(refusalText(this.#refused), this.#takeovers.suspicion),
      subscribed: this.#answersOpen === 0,
      refusedTopics: [...this.#refused.keys()],
    });
  }

  #notify(state: MqttState): void {
    for (const listener of this.#listeners) listener(state);
  }
}

/** @see MQTT 3.1.1, section 4.7: no wildcards, no NUL, 1 to 65535 bytes. */
function isTopicName(topic: string): boolean {
  return topic !== '' && Buffer.byteLength(topic) <= STRING_BYTES_MAX && !/[+#\0]/.test(topic);
}

/** CONNACK code 1 of MQTT 3.1.1, 132 of MQTT 5: the protocol version is not supported. */
function isVersionRefused(reason: OperatingError): boolean {
  const code = reasonCodeOf(reason);
  return code === 1 || code === 132;
}

/** Reason code with which the broker refused the login. */
function reasonCodeOf({ code, cause }: OperatingError): unknown {
  return code === 'mqtt-refused' && cause instanceof Error && 'code' in cause ? cause.code : undefined;
}

function refusalText(refused: ReadonlyMap<string, string>): string | undefined {
  const first = [...refused].slice(0, 3).map(([topic, reason]) => `${topic} (${reason})`);
  if (first.length === 0) return undefined;
  const more = refused.size > first.length ? ` and ${refused.size - first.length} more` : '';
  return `The broker refused the subscription to ${first.join(', ')}${more}`;
}

function joined(...texts: readonly (string | undefined)[]): string | undefined {
  const present = texts.filter((text) => text !== undefined);
  return present.length === 0 ? undefined : present.join('. ');
}

function metricsOf(deps: Deps, connection: string) {
  const metrics = deps.metrics.of(mqttMetrics);
  return {
    connected: metrics.andon_mqtt_connected.labels({ connection }),
    attempts: metrics.andon_mqtt_connection_attempts_total.labels({ connection }),
    losses: metrics.andon_mqtt_connection_losses_total,
    received: metrics.andon_mqtt_received_total.labels({ connection }),
    published: metrics.andon_mqtt_published_total.labels({ connection }),
    inFlight: metrics.andon_mqtt_in_flight.labels({ connection }),
    failure: (error: unknown) => metrics.andon_mqtt_publish_failures_total.inc({ connection, code: errorCode(error) }),
  };
}
