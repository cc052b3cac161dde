import type { AlarmCommands } from '../contracts/alarm-commands.ts';
import type { LiveEvent, LiveEvents, TagReading } from '../contracts/live-events.ts';
import { watchSummaryToJson } from '../contracts/watch-json.ts';
import type { WatchSummaries } from '../contracts/watch-summaries.ts';
import { alarmPayload } from '../domain/record/alarm-payload.ts';
import type { AlarmTransition } from '../domain/alarm/alarm.ts';
import { verdictPayload } from '../domain/record/verdict-payload.ts';
import { sleep, type Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorCode, errorMessage, OperatingError } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import type { MqttWill } from '../protocols/mqtt/mqtt-client-options.ts';
import { mqttConnectionOptions, randomClientId } from '../protocols/mqtt/mqtt-config.ts';
import { isEndedByBroker, SUSPECT_BYTES_MIN } from '../protocols/mqtt/mqtt-end-reason.ts';
import { MqttConnection, type MqttState } from '../protocols/mqtt/mqtt-connection.ts';
import type { PublishConfig } from './publish-config.ts';
import { publishMetrics } from './publish-metrics.ts';
import { retainedTopics } from './retained-topics.ts';

export type PublisherOptions = {
  readonly agentId: string;
  readonly config: PublishConfig;
  readonly events: LiveEvents;
  readonly alarms: AlarmCommands;
  readonly watches: WatchSummaries;
  readonly deps: Deps;
};

type TopicKind = 'state' | 'alarm' | 'watch' | 'verdict' | 'tag';

type Message = { readonly kind: TopicKind; readonly topic: string; readonly payload: string; readonly retain: boolean };

/** Maximum number of unacknowledged messages; of further ones the newest of each topic waits. */
const IN_FLIGHT_MAX = 50;
/** Ended connections after which a message is not sent again until it changes. */
const STRIKES_MAX = 3;
/** Wait before an alarm is sent again that a connected broker did not acknowledge. */
const ALARM_RETRY_MS = 10_000;
/** A tag event that comes at the interval must not find the timer running. */
const TIMER_EARLY_MS = 20;
/** Longest wait for the last messages at a stop. */
const GOODBYE_TIMEOUT_MS = 2000;

/**
 * Publishes verdicts, alarms, tags, and the states of watches and of the agent for local subscribers on `andon/v1/<agent.id>/…`, QoS 1.
 *
 * Messages are current values and not stored; the records are in the outbox for the uplinks.
 * - While disconnected no message is queued. The last state of each alarm and watch is retained, and published
 *   again after each connect. A retained message of something that no longer exists is removed.
 * - With a slow broker the newest message of each topic waits: alarms before watches, watches before
 *   verdicts, verdicts before tags. Replaced
 *   messages are counted, so memory is bounded by the number of topics.
 */
export class Publisher implements AsyncDisposable {
  readonly #options: PublisherOptions;
  readonly #base: string;
  readonly #connection: MqttConnection;
  readonly #health: ComponentHealth;
  readonly #metrics;
  readonly #tags: ReadonlySet<string> | 'all';
  /** Ids of the last transitions; a transition before this start has none. */
  readonly #alarmIds = new Map<string, { readonly number: number; readonly id: string }>();
  readonly #waiting = {
    state: new Map<string, Message>(),
    alarm: new Map<string, Message>(),
    watch: new Map<string, Message>(),
    verdict: new Map<string, Message>(),
    tag: new Map<string, Message>(),
  } as const satisfies Record<TopicKind, Map<string, Message>>;
  #inFlight = 0;
  /** True after several messages were lost together: until all are sent, they go one at a time. */
  #isCautious = false;
  /** Messages with which the connection ended, by topic. */
  readonly #strikes = new Map<string, { readonly payload: string; readonly count: number }>();
  #onIdle: (() => void) | undefined;
  #unsubscribe: (() => void) | undefined;
  #alarmRetry: Timer | undefined;
  #connected = false;
  #hasConnected = false;
  /** Topics of alarms and watches with a retained message, also those of earlier starts. */
  readonly #retained = new Set<string>();
  readonly #stopping = new AbortController();
  /** False after the broker refused retained messages. */
  #retain: boolean;
  /** Why state and alarms are not retained although `retain` is on; undefined if they are. */
  #retainFault: string | undefined;
  /** Time of the online message of the current connection. */
  #onlineMs = 0;
  /** Newest readings of the tags whose interval has not passed. */
  readonly #readings = new Map<string, TagReading>();
  #tagTimer: Timer | undefined;
  #disposed: Promise<void> | undefined;

  constructor(options: PublisherOptions) {
    const { agentId, config, deps } = options;
    this.#options = options;
    this.#base = `andon/v1/${agentId}`;
    this.#tags = config.tags === true ? 'all' : new Set(config.tags === false ? [] : config.tags);
    this.#metrics = deps.metrics.of(publishMetrics);
    this.#health = deps.health.component('publish');
    this.#retain = config.retain;
    this.#connection = new MqttConnection(
      mqttConnectionOptions(config, {
        name: 'publish',
        clientId: randomClientId(deps.random, 'publish'),
        will: () => this.#nextWill(),
      }),
      deps,
    );
  }

  /** Connects, and reconnects automatically. */
  start(): void {
    if (this.#unsubscribe !== undefined || this.#disposed !== undefined) return;
    this.#unsubscribe = this.#options.events.subscribe((event) => this.#take(event));
    this.#connection.onState((state) => this.#whenState(state));
    this.#connection.start();
  }

  /** Removes the retained messages of alarms and watches that no longer exist. */
  prune(): void {
    const { alarms, watches } = this.#options;
    if (!this.#connected || this.#disposed !== undefined || !alarms.restored) return;
    const present = new Set([
      ...alarms.list().flatMap((transition) => this.#alarmTopics(transition)),
      ...watches.summaries().map(({ watch }) => this.#topic('watch', watch)),
    ]);
    for (const topic of [...this.#retained].filter((each) => !present.has(each))) {
      this.#retained.delete(topic);
      const kind = topic.startsWith(this.#topic('watch', '')) ? 'watch' : 'alarm';
      // MQTT removes a retained message by an empty one.
      this.#send({ kind, topic, payload: '', retain: true });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    this.#stopping.abort();
    this.#unsubscribe?.();
    this.#alarmRetry?.cancel();
    this.#tagTimer?.cancel();
    // The broker publishes no will after a DISCONNECT.
    if (this.#connected)
      this.#send(this.#stateMessage('offline', Math.max(this.#options.deps.clock.nowMs(), this.#onlineMs + 1)));
    const done = new AbortController();
    this.#onIdle = () => done.abort();
    if (this.#inFlight > 0) await sleep(this.#options.deps.clock, GOODBYE_TIMEOUT_MS, done.signal);
    await this.#connection[Symbol.asyncDispose]();
    this.#health.remove();
  }

  #whenState(state: MqttState): void {
    const wasConnected = this.#connected;
    this.#connected = state.connected;
    if (!state.connected) {
      this.#dropWaiting();
      this.#health.report('degraded', `${state.reason}${this.#retainHint(state)}`, state.code);
    } else if (!wasConnected) {
      if (!this.#hasConnected && this.#retain) void this.#findRetained();
      this.#hasConnected = true;
      this.#reportOk();
      this.#sendStates();
      this.prune();
    }
  }

  /**
   * With MQTT 5 the broker names the reason, and the next attempt does without. With 3.1.1 it closes the connection at the
   * login, for this reason or another.
   */
  #retainHint({ retainRefused, reason }: MqttState & { connected: false }): string {
    if (!this.#retain) return '';
    if (retainRefused) {
      this.#retain = false;
      this.#retainFault =
        'The broker keeps no retained messages: a later subscriber waits for the next state and alarm. retain: false accepts this';
      return '';
    }
    if (this.#hasConnected || !reason.startsWith('The broker closed the connection')) return '';
    return '. A broker without retained messages closes it at the login: publish.retain: false';
  }

  #reportOk(): void {
    this.#health.report(this.#retainFault === undefined ? 'ok' : 'degraded', this.#retainFault);
  }

  #take(event: LiveEvent): void {
    switch (event.type) {
      case 'verdict':
        return this.#offer('verdict', event.verdict.watch, verdictPayload(event.verdict, event.id), false);
      case 'alarm': {
        const { transition, id } = event;
        if (id !== undefined) this.#alarmIds.set(transition.alarm, { number: transition.number, id });
        this.#offerAlarm(transition);
        // Its last message, after a reload removed it.
        if (!this.#options.alarms.list().some(({ alarm }) => alarm === transition.alarm)) this.prune();
        return;
      }
      case 'watch':
        return this.#offer('watch', event.summary.watch, watchSummaryToJson(event.summary), this.#retain);
      case 'tags':
        for (const reading of event.tags)
          if (this.#tags === 'all' || this.#tags.has(reading.tag)) this.#readings.set(reading.tag, reading);
        if (this.#tagTimer === undefined) this.#sendReadings();
    }
  }

  /** Sends the newest readings, and no more until the interval has passed. */
  #sendReadings(): void {
    this.#tagTimer = undefined;
    if (this.#readings.size === 0) return;
    for (const reading of this.#readings.values()) this.#offer('tag', reading.tag, tagPayload(reading), false);
    this.#readings.clear();
    const { config, deps } = this.#options;
    // Events come at the interval of the configuration or 500 ms, whichever is shorter.
    const waitMs = config.tagIntervalMs - TIMER_EARLY_MS;
    this.#tagTimer = deps.clock.setTimer(() => this.#sendReadings(), waitMs, { background: true });
  }

  /** Sends everything that is retained. */
  #sendStates(): void {
    const { alarms, watches } = this.#options;
    this.#send(this.#stateMessage('online', this.#onlineMs));
    for (const transition of alarms.list()) this.#offerAlarm(transition);
    for (const summary of watches.summaries())
      this.#offer('watch', summary.watch, watchSummaryToJson(summary), this.#retain);
  }

  #offerAlarm(transition: AlarmTransition): void {
    const known = this.#alarmIds.get(transition.alarm);
    const id = known?.number === transition.number ? known.id : undefined;
    const payload = alarmPayload(transition, id);
    for (const topic of this.#alarmTopics(transition)) this.#offerTo('alarm', topic, payload, this.#retain);
  }

  #alarmTopics({ alarm, watch }: AlarmTransition): readonly string[] {
    // Before alarms had ids, the alarm of a watch had the topic of the watch.
    return [alarm, ...(watch === undefined ? [] : [watch])].map((name) => this.#topic('alarm', name));
  }

  #topic(kind: TopicKind, name: string): string {
    return `${this.#base}/${kind}/${name}`;
  }

  /** Finds the retained messages of earlier starts, whose watches and alarms may be gone. */
  async #findRetained(): Promise<void> {
    const { config, deps } = this.#options;
    const filters = [this.#topic('watch', '+'), this.#topic('alarm', '#')];
    for (const topic of await retainedTopics(config, filters, this.#stopping.signal, deps)) this.#retained.add(topic);
    this.prune();
  }

  #offer(kind: TopicKind, name: string, payload: object, retain: boolean): void {
    this.#offerTo(kind, this.#topic(kind, name), payload, retain);
  }

  #offerTo(kind: TopicKind, topic: string, payload: object, retain: boolean): void {
    if (!this.#connected) this.#metrics.andon_publish_dropped_total.inc({ topic: kind, reason: 'not-connected' });
    else {
      if (retain) this.#retained.add(topic);
      this.#send({ kind, topic, payload: JSON.stringify(payload), retain });
    }
  }

  #send(message: Message): void {
    const queue = this.#waiting[message.kind];
    if (queue.delete(message.topic))
      this.#metrics.andon_publish_dropped_total.inc({ topic: message.kind, reason: 'superseded' });
    queue.set(message.topic, message);
    this.#sendWaiting();
  }

  #sendWaiting(): void {
    for (const queue of Object.values(this.#waiting)) {
      for (const [topic, message] of queue) {
        if (this.#inFlight >= (this.#isCautious ? 1 : IN_FLIGHT_MAX)) return;
        queue.delete(topic);
        if (this.#isRefused(message)) continue;
        void this.#publish(message);
      }
    }
  }

  /** Some brokers close the connection at a message that is too large, again and again. */
  #isRefused({ kind, topic, payload }: Message): boolean {
    const strike = this.#strikes.get(topic);
    if (strike === undefined || strike.count < STRIKES_MAX || strike.payload !== payload) return false;
    this.#metrics.andon_publish_dropped_total.inc({ topic: kind, reason: 'mqtt-publish-too-large' });
    this.#health.report(
      'degraded',
      `The broker closes the connection at the message on ${topic}; it is not sent again`,
      'mqtt-publish-too-large',
    );
    return true;
  }

  #noteLoss({ topic, payload }: Message, wasAlone: boolean): void {
    if (Buffer.byteLength(payload) < SUSPECT_BYTES_MIN) return;
    this.#isCautious = true;
    const before = this.#strikes.get(topic);
    const count = before?.payload === payload ? before.count + 1 : 1;
    if (wasAlone) this.#strikes.set(topic, { payload, count });
  }

  async #publish(message: Message): Promise<void> {
    const { kind, topic, payload, retain } = message;
    const timeoutMs = this.#options.config.publishTimeoutMs;
    this.#inFlight += 1;
    const wasAlone = this.#isCautious;
    try {
      await this.#connection.publish(topic, payload, { qos: 1, retain, timeoutMs });
      this.#metrics.andon_publish_sent_total.inc({ topic: kind });
      this.#strikes.delete(topic);
      const isLast = this.#inFlight === 1 && Object.values(this.#waiting).every(({ size }) => size === 0);
      if (isLast) this.#isCautious = false;
      if (this.#connected) this.#reportOk();
    } catch (error) {
      this.#metrics.andon_publish_dropped_total.inc({ topic: kind, reason: errorCode(error) });
      if (isEndedByBroker(error)) this.#noteLoss(message, wasAlone);
      this.#failed(kind, error);
    }
    this.#inFlight -= 1;
    this.#sendWaiting();
    if (this.#inFlight === 0) this.#onIdle?.();
  }

  /** Handles a message that a connected broker did not acknowledge; a lost connection is reported by its state. */
  #failed(kind: TopicKind, error: unknown): void {
    if (!this.#connected || this.#disposed !== undefined) return;
    this.#health.report('degraded', errorMessage(error), errorCode(error));
    // The same message would be refused again.
    if (error instanceof OperatingError && error.disposition === 'reject') return;
    if (kind !== 'alarm' && kind !== 'state' && kind !== 'watch') return;
    this.#alarmRetry?.cancel();
    this.#alarmRetry = this.#options.deps.clock.setTimer(() => this.#sendAgain(), ALARM_RETRY_MS, { background: true });
  }

  #sendAgain(): void {
    if (this.#connected) this.#sendStates();
  }

  #dropWaiting(): void {
    for (const [kind, queue] of Object.entries(this.#waiting)) {
      this.#metrics.andon_publish_dropped_total.inc({ topic: kind, reason: 'not-connected' }, queue.size);
      queue.clear();
    }
  }

  /**
   * The will has to be newer than the online message of its connection: a consumer that keeps the newest time would otherwise
   * show a killed box as online.
   */
  #nextWill(): MqttWill {
    this.#onlineMs = Math.round(this.#options.deps.clock.nowMs());
    const { topic, payload, retain } = this.#stateMessage('offline', this.#onlineMs + 1);
    return { topic, payload, qos: 1, retain };
  }

  #stateMessage(state: 'online' | 'offline', timestampMs: number): Message {
    const payload = JSON.stringify({ state, timestamp_ms: Math.round(timestampMs) });
    return { kind: 'state', topic: `${this.#base}/state`, payload, retain: this.#retain };
  }
}

function tagPayload({ value, text, timestampMs, quality }: TagReading): object {
  return {
    value: value ?? null,
    ...(text === undefined ? {} : { text }),
    timestamp_ms: Math.round(timestampMs),
    quality,
  };
}
