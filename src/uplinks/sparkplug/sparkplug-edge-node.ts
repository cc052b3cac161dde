import type { AlarmCommands } from '../../contracts/alarm-commands.ts';
import type { LiveEvent, LiveEvents, TagReading } from '../../contracts/live-events.ts';
import type { WatchStatuses } from '../../contracts/watch-statuses.ts';
import type { Timer } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import type { MqttWill } from '../../protocols/mqtt/mqtt-client-options.ts';
import { mqttConnectionOptions, randomClientId } from '../../protocols/mqtt/mqtt-config.ts';
import { MqttConnection, type MqttState } from '../../protocols/mqtt/mqtt-connection.ts';
import {
  dataTypes,
  decodeSparkplug,
  encodeSparkplug,
  type SparkplugMetricDraft,
} from '../../protocols/sparkplug/sparkplug-payload.ts';
import { mqttFailure } from '../../protocols/mqtt/mqtt-errors.ts';
import { BD_SEQ, formatSparkplugTopic, REBIRTH } from '../../protocols/sparkplug/sparkplug-topic.ts';
import { MissedChanges, type MissedChange } from './missed-changes.ts';
import { PrimaryHost } from './primary-host.ts';
import { type DeviceMessage, SparkplugDevices } from './sparkplug-devices.ts';
import { CLEAN, type SparkplugPublishConfig } from './sparkplug-publish-config.ts';
import { sparkplugPublishMetrics } from './sparkplug-publish-metrics.ts';
import { alarmMetrics, birthMetrics, verdictMetrics } from './watch-metrics.ts';

export type SparkplugEdgeNodeOptions = {
  readonly agentId: string;
  readonly config: SparkplugPublishConfig;
  readonly events: LiveEvents;
  readonly board: WatchStatuses;
  readonly alarms: AlarmCommands;
  readonly deps: Deps;
};

type MessageType = 'NBIRTH' | 'NDATA' | 'NDEATH' | 'NCMD' | 'DBIRTH' | 'DDATA' | 'DDEATH';

/** Shortest time between two births, which are large. */
const BIRTH_INTERVAL_MS = 1000;
const PUBLISH_TIMEOUT_MS = 10_000;
/** Longest wait for the NDEATH at a stop. */
const GOODBYE_TIMEOUT_MS = 2000;
/** Changes in one historical message; about 20 kB. */
const HISTORICAL_MAX = 500;

/**
 * The agent as an edge node of Sparkplug B: each verdict and each alarm transition that changes a metric is an NDATA. The
 * NBIRTH contains every current value, and each DBIRTH those of the tags of a device. They are sent after each connect and at the request of a host.
 *
 * Data has QoS 0, as Sparkplug requires. A birth follows a message that could not be sent. Without a primary host nothing is kept while
 * disconnected: the records are in the outbox for the uplinks. With a primary host changes are kept while it or the broker is away, and follow
 * the next birth as historical.
 *
 * @see Sparkplug 3.0, sections 5.4 and 6.4.
 */
export class SparkplugEdgeNode implements AsyncDisposable {
  readonly #options: SparkplugEdgeNodeOptions;
  readonly #connection: MqttConnection;
  readonly #health: ComponentHealth;
  readonly #metrics;
  #unsubscribe: (() => void) | undefined;
  /** Why commands are not received; undefined if they are. */
  #refusal: string | undefined;
  #isReady = false;
  #isBorn = false;
  #bornMs = -Infinity;
  #birth: Timer | undefined;
  /** Number of the current connection; its birth and its will have the same value. */
  #bdSeq = 255;
  #sequence = 0;
  /** Values that hosts have, by metric: data contains only what differs. */
  readonly #sent = new Map<string | undefined, SparkplugMetricDraft['value']>();
  readonly #devices: SparkplugDevices;
  readonly #host: PrimaryHost | undefined;
  readonly #missed: MissedChanges;
  #isSendingMissed = false;
  #disposed: Promise<void> | undefined;

  constructor(options: SparkplugEdgeNodeOptions) {
    const { config, deps } = options;
    this.#options = options;
    this.#devices = new SparkplugDevices(config.tags);
    this.#metrics = deps.metrics.of(sparkplugPublishMetrics);
    this.#health = deps.health.component('sparkplug');
    this.#host = config.primaryHost === undefined ? undefined : new PrimaryHost(config.primaryHost);
    this.#missed = new MissedChanges(config.keep, (count) =>
      this.#metrics.andon_sparkplug_missed_dropped_total.inc(count),
    );
    const clientId = randomClientId(deps.random, 'sparkplug');
    const who = { name: 'sparkplug', clientId, will: () => this.#nextWill(), willAtClose: true };
    this.#connection = new MqttConnection(mqttConnectionOptions({ ...config, ...CLEAN }, who), deps);
  }

  /** Connects, and reconnects automatically. */
  start(): void {
    if (this.#unsubscribe !== undefined || this.#disposed !== undefined) return;
    this.#unsubscribe = this.#options.events.subscribe((event) => this.#take(event));
    this.#connection.onState((state) => this.#whenState(state));
    this.#connection.subscribe([this.#topic('NCMD')], (_topic, payload) => this.#takeCommand(payload), 1);
    if (this.#host !== undefined)
      this.#connection.subscribe([this.#host.topic], (_topic, payload) => this.#takeHostState(payload), 1);
    this.#connection.start();
  }

  /** Sends a birth, after a change of the watches or alarms. */
  rebirth(): void {
    this.#sendBirthSoon();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    this.#unsubscribe?.();
    this.#birth?.cancel();
    if (this.#isBorn) await this.#sendDeath();
    await this.#connection[Symbol.asyncDispose]();
    this.#health.remove();
  }

  #whenState(state: MqttState): void {
    if (!state.connected) {
      this.#isReady = false;
      this.#isBorn = false;
      this.#host?.forget();
      this.#birth?.cancel();
      this.#birth = undefined;
      return this.#health.report('degraded', state.reason, state.code);
    }
    if (!state.subscribed) return undefined;
    // Without commands no host can request a rebirth; data is sent all the same.
    this.#refusal = state.reason;
    if (this.#isReady) return undefined;
    this.#isReady = true;
    return this.#begin();
  }

  /** Sends the birth of a connection, if there is a host for it. */
  #begin(): void {
    if (this.#host?.online === false) return this.#reportHostOffline();
    return this.#sendBirth();
  }

  #takeHostState(payload: Buffer): void {
    const host = this.#host;
    if (host === undefined || this.#disposed !== undefined) return;
    if (!host.take(payload)) return this.#metrics.andon_sparkplug_dropped_total.inc({ code: 'host-state-invalid' });
    if (!this.#isReady) return;
    if (host.online && !this.#isBorn) this.#begin();
    else if (!host.online && this.#isBorn) void this.#endSession();
    else if (!host.online) this.#reportHostOffline();
  }

  /** Ends the session of a host that went offline. The next connection waits for its STATE. */
  async #endSession(): Promise<void> {
    this.#isBorn = false;
    this.#isReady = false;
    this.#birth?.cancel();
    this.#birth = undefined;
    await this.#sendDeath();
    if (this.#disposed === undefined) await this.#connection.reconnect(this.#hostOffline());
  }

  #hostOffline() {
    const found = `no STATE, or 'offline', on ${this.#host?.topic}`;
    const text = `The primary host is not online: ${found}. Changes are kept until it is online`;
    return mqttFailure('sparkplug-host-offline', text);
  }

  #reportHostOffline(): void {
    const { message, code } = this.#hostOffline();
    this.#health.report('degraded', message, code);
  }

  #take(event: LiveEvent): void {
    switch (event.type) {
      case 'verdict':
        return this.#sendData(verdictMetrics(event.verdict));
      case 'alarm':
        // Alarms that were restored or defined after the birth are not in it.
        return event.id === undefined || event.transition.alarm.startsWith('diagnostic/')
          ? this.#sendBirthSoon()
          : this.#sendData(alarmMetrics(event.transition));
      case 'tags':
        return this.#takeTags(event.tags);
      case 'watch':
        return undefined;
    }
  }

  #sendData(metrics: readonly SparkplugMetricDraft[]): void {
    // The birth contains the values before it. After a request for a birth no data may be sent until that birth.
    if (this.#birth !== undefined || (!this.#isBorn && this.#host === undefined)) return;
    const changed = metrics.filter(({ name, value }) => !this.#sent.has(name) || this.#sent.get(name) !== value);
    if (changed.length === 0) return;
    for (const { name, value } of changed) this.#sent.set(name, value);
    if (this.#isBorn) void this.#send('NDATA', changed);
    else this.#keep(() => this.#missed.addMetrics(changed));
  }

  #takeTags(readings: readonly TagReading[]): void {
    if (this.#birth !== undefined) return;
    if (!this.#isBorn) {
      if (this.#host !== undefined)
        this.#keep(() => this.#missed.addTags(readings.filter(({ tag }) => this.#devices.has(tag))));
      return;
    }
    const changed = this.#devices.changed(readings);
    // A pattern found a tag that is in no birth.
    if (changed === 'unknown-tag') return this.#sendBirthSoon();
    for (const message of changed) void this.#sendDevice(message);
  }

  #keep(add: () => void): void {
    add();
    this.#metrics.andon_sparkplug_missed_changes.set(this.#missed.size);
  }

  /** Sends the kept changes after a birth, one message after the other. Current data may be sent between them. */
  async #sendMissed(): Promise<void> {
    if (this.#isSendingMissed) return;
    this.#isSendingMissed = true;
    while (this.#isBorn && this.#birth === undefined && this.#missed.size > 0 && this.#disposed === undefined) {
      const changes = this.#missed.take(HISTORICAL_MAX);
      if (!(await this.#sendHistorical(changes))) this.#missed.putBack(changes);
      this.#metrics.andon_sparkplug_missed_changes.set(this.#missed.size);
    }
    this.#isSendingMissed = false;
  }

  async #sendHistorical(changes: readonly MissedChange[]): Promise<boolean> {
    const own = changes.flatMap((change) =>
      change.kind === 'metric' ? [{ ...change.metric, isHistorical: true }] : [],
    );
    const devices = this.#devices.historical(
      changes.flatMap((change) => (change.kind === 'tag' ? [change.reading] : [])),
    );
    const sent = [
      ...(own.length === 0 ? [] : [this.#send('NDATA', own)]),
      ...devices.map((message) => this.#sendDevice(message)),
    ];
    if (!(await Promise.all(sent)).every((isSent) => isSent)) return false;
    // Of devices that are dead or have lost the tag.
    const left = changes.length - own.length - devices.reduce((sum, { metrics }) => sum + metrics.length, 0);
    this.#metrics.andon_sparkplug_missed_dropped_total.inc(left);
    return true;
  }

  /** Sends a birth at the request of a host. Other commands are ignored. */
  #takeCommand(payload: Buffer): void {
    try {
      const { metrics } = decodeSparkplug(payload);
      const isRequested = metrics.some(
        ({ name, value }) => name === REBIRTH && (value.kind === 'boolean' ? value.value : value.kind === 'int'),
      );
      if (isRequested) this.#sendBirthSoon();
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      this.#metrics.andon_sparkplug_dropped_total.inc({ code: error.code });
    }
  }

  #sendBirthSoon(): void {
    if (this.#birth !== undefined || !this.#isReady || this.#host?.online === false) return;
    const { clock } = this.#options.deps;
    const waitMs = Math.max(0, this.#bornMs + BIRTH_INTERVAL_MS - clock.monotonicMs());
    this.#birth = clock.setTimer(() => this.#sendBirth(), waitMs, { background: true });
  }

  #sendBirth(): void {
    const { board, alarms, deps } = this.#options;
    const nowMs = deps.clock.nowMs();
    this.#birth = undefined;
    this.#bornMs = deps.clock.monotonicMs();
    const { births, deaths } = this.#devices.born(board.tags());
    // After a lost connection the NDEATH has ended them.
    if (this.#isBorn) for (const message of deaths) void this.#sendDevice(message);
    // The birth of the edge node has the sequence number 0.
    this.#sequence = 255;
    this.#isBorn = true;
    this.#sent.clear();
    const own = birthMetrics(board.watches(), alarms.list(), nowMs);
    for (const { name, value } of own) this.#sent.set(name, value);
    void this.#send('NBIRTH', [
      this.#bdSeqMetric(),
      { name: REBIRTH, timestampMs: nowMs, dataType: dataTypes.Boolean, value: false },
      ...own,
    ]);
    for (const message of births) void this.#sendDevice(message);
    void this.#sendMissed();
  }

  #sendDevice({ type, metrics, device }: DeviceMessage): Promise<boolean> {
    return this.#send(type, metrics, device);
  }

  /** With MQTT 5 the DISCONNECT requests the will. With 3.1.1 the broker publishes no will after a DISCONNECT. */
  async #sendDeath(): Promise<void> {
    if (this.#connection.protocolVersion === 4)
      await this.#publish('NDEATH', this.#death(), { qos: 1, timeoutMs: GOODBYE_TIMEOUT_MS });
  }

  /** @returns False if the message was not sent. */
  async #send(
    type: 'NBIRTH' | 'NDATA' | DeviceMessage['type'],
    metrics: readonly SparkplugMetricDraft[],
    device?: string,
  ): Promise<boolean> {
    this.#sequence = (this.#sequence + 1) % 256;
    const types = type.endsWith('BIRTH') ? 'written' : 'omitted';
    const payload = encodeSparkplug(this.#options.deps.clock.nowMs(), this.#sequence, metrics, types);
    return this.#publish(type, payload, { qos: 0, timeoutMs: PUBLISH_TIMEOUT_MS, device });
  }

  async #publish(
    type: MessageType,
    payload: Uint8Array,
    { device, ...how }: { readonly qos: 0 | 1; readonly timeoutMs: number; readonly device?: string | undefined },
  ): Promise<boolean> {
    try {
      await this.#connection.publish(this.#topic(type, device), Buffer.from(payload), { ...how, retain: false });
      this.#metrics.andon_sparkplug_sent_total.inc({ type });
      if (type === 'NBIRTH' && this.#isReady)
        this.#health.report(this.#refusal === undefined ? 'ok' : 'degraded', this.#refusal);
      return true;
    } catch (error) {
      this.#metrics.andon_sparkplug_dropped_total.inc({ code: errorCode(error) });
      // A lost connection is reported by its state. Otherwise hosts would see a gap in the sequence.
      if (!this.#isReady || this.#disposed !== undefined) return false;
      this.#health.report('degraded', errorMessage(error), errorCode(error));
      this.#sendBirthSoon();
      return false;
    }
  }

  #nextWill(): MqttWill {
    this.#bdSeq = (this.#bdSeq + 1) % 256;
    return { topic: this.#topic('NDEATH'), payload: this.#death(), qos: 1, retain: false };
  }

  #death(): Uint8Array {
    return encodeSparkplug(this.#options.deps.clock.nowMs(), undefined, [this.#bdSeqMetric()]);
  }

  #bdSeqMetric(): SparkplugMetricDraft {
    const timestampMs = this.#options.deps.clock.nowMs();
    return { name: BD_SEQ, timestampMs, dataType: dataTypes.Int64, value: this.#bdSeq };
  }

  #topic(type: MessageType, device?: string): string {
    const { agentId, config } = this.#options;
    return formatSparkplugTopic({ group: config.group, type, edgeNode: config.edgeNode ?? agentId, device });
  }
}
