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
import { BD_SEQ, formatSparkplugTopic, REBIRTH } from '../../protocols/sparkplug/sparkplug-topic.ts';
import { SparkplugDevices } from './sparkplug-devices.ts';
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

/**
 * The agent as an edge node of Sparkplug B: each verdict and each alarm transition that changes a metric is an NDATA. The
 * NBIRTH contains every current value, and each DBIRTH those of the tags of a device. They are sent after each connect and at the request of a host.
 *
 * Data has QoS 0, as Sparkplug requires, and nothing is queued while disconnected: the records are in the outbox for
 * the uplinks. A birth follows a message that could not be sent.
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
  #disposed: Promise<void> | undefined;

  constructor(options: SparkplugEdgeNodeOptions) {
    const { config, deps } = options;
    this.#options = options;
    this.#devices = new SparkplugDevices(config.tags);
    this.#metrics = deps.metrics.of(sparkplugPublishMetrics);
    this.#health = deps.health.component('sparkplug');
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
    // With MQTT 5 the DISCONNECT requests the will. With 3.1.1 the broker publishes no will after a DISCONNECT.
    if (this.#isBorn && this.#connection.protocolVersion === 4)
      await this.#publish('NDEATH', this.#death(), { qos: 1, timeoutMs: GOODBYE_TIMEOUT_MS });
    await this.#connection[Symbol.asyncDispose]();
    this.#health.remove();
  }

  #whenState(state: MqttState): void {
    if (!state.connected) {
      this.#isReady = false;
      this.#isBorn = false;
      this.#birth?.cancel();
      this.#birth = undefined;
      return this.#health.report('degraded', state.reason, state.code);
    }
    if (!state.subscribed) return undefined;
    // Without commands no host can request a rebirth; data is sent all the same.
    this.#refusal = state.reason;
    if (this.#isReady) return undefined;
    this.#isReady = true;
    return this.#sendBirth();
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
    if (!this.#isBorn || this.#birth !== undefined) return;
    const changed = metrics.filter(({ name, value }) => !this.#sent.has(name) || this.#sent.get(name) !== value);
    if (changed.length === 0) return;
    for (const { name, value } of changed) this.#sent.set(name, value);
    void this.#send('NDATA', changed);
  }

  #takeTags(readings: readonly TagReading[]): void {
    if (!this.#isBorn || this.#birth !== undefined) return;
    const changed = this.#devices.changed(readings);
    // A pattern found a tag that is in no birth.
    if (changed === 'unknown-tag') return this.#sendBirthSoon();
    for (const { device, metrics } of changed) void this.#send('DDATA', metrics, device);
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
    if (this.#birth !== undefined || !this.#isReady) return;
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
    if (this.#isBorn) for (const device of deaths) void this.#send('DDEATH', [], device);
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
    for (const { device, metrics } of births) void this.#send('DBIRTH', metrics, device);
  }

  async #send(
    type: 'NBIRTH' | 'NDATA' | 'DBIRTH' | 'DDATA' | 'DDEATH',
    metrics: readonly SparkplugMetricDraft[],
    device?: string,
  ): Promise<void> {
    this.#sequence = (this.#sequence + 1) % 256;
    const types = type.endsWith('BIRTH') ? 'written' : 'omitted';
    const payload = encodeSparkplug(this.#options.deps.clock.nowMs(), this.#sequence, metrics, types);
    await this.#publish(type, payload, { qos: 0, timeoutMs: PUBLISH_TIMEOUT_MS, device });
  }

  async #publish(
    type: MessageType,
    payload: Uint8Array,
    { device, ...how }: { readonly qos: 0 | 1; readonly timeoutMs: number; readonly device?: string | undefined },
  ): Promise<void> {
    try {
      await this.#connection.publish(this.#topic(type, device), Buffer.from(payload), { ...how, retain: false });
      this.#metrics.andon_sparkplug_sent_total.inc({ type });
      if (type === 'NBIRTH' && this.#isReady)
        this.#health.report(this.#refusal === undefined ? 'ok' : 'degraded', this.#refusal);
    } catch (error) {
      this.#metrics.andon_sparkplug_dropped_total.inc({ code: errorCode(error) });
      // A lost connection is reported by its state. Otherwise hosts would see a gap in the sequence.
      if (!this.#isReady || this.#disposed !== undefined) return;
      this.#health.report('degraded', errorMessage(error), errorCode(error));
      this.#sendBirthSoon();
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
