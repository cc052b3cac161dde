import type { AlarmCommands } from '../../contracts/alarm-commands.ts';
import type { LiveEvent, LiveEvents } from '../../contracts/live-events.ts';
import type { WatchStatuses } from '../../contracts/watch-statuses.ts';
import type { Timer } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import type { MqttWill } from '../../protocols/mqtt/mqtt-client-options.ts';
import { mqttConnectionOptions, randomClientId } from '../../protocols/mqtt/mqtt-config.ts';
import type { MqttState } from '../../protocols/mqtt/mqtt-connection.ts';
import { MqttConnection } from '../../protocols/mqtt/mqtt-connection.ts';
import type { SparkplugMetricDraft } from '../../protocols/sparkplug/sparkplug-payload.ts';
import { dataTypes, decodeSparkplug, encodeSparkplug } from '../../protocols/sparkplug/sparkplug-payload.ts';
import { BD_SEQ, formatSparkplugTopic, REBIRTH } from '../../protocols/sparkplug/sparkplug-topic.ts';
import type { SparkplugPublishConfig } from './sparkplug-publish-config.ts';
import { CLEAN } from './sparkplug-publish-config.ts';
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

type MessageType = 'NBIRTH' | 'NDATA' | 'NDEATH' | 'NCMD';

/** Births are large: however often a host asks, or a message fails, there is one in this time at most. */
const BIRTH_INTERVAL_MS = 1000;
const PUBLISH_TIMEOUT_MS = 10_000;
/** For the goodbye of a stop. */
const GOODBYE_TIMEOUT_MS = 2000;

/**
 * The agent as an edge node of Sparkplug B: each verdict and each change of an alarm is a NDATA, and everything
 * present is in the NBIRTH that a connection begins with and that a host may ask for again.
 *
 * As Sparkplug says, data goes with QoS 0 and nothing waits while the broker is away: it shows the present, and the
 * records are in the outbox for the uplinks. A message that could not be sent is made up for by a birth.
 *
 * @see Sparkplug 3.0, sections 5.4 and 6.4.
 */
export class SparkplugEdgeNode implements AsyncDisposable {
  readonly #options: SparkplugEdgeNodeOptions;
  readonly #connection: MqttConnection;
  readonly #health: ComponentHealth;
  readonly #metrics;
  #unsubscribe: (() => void) | undefined;
  /** Why commands do not come; '' where they do. */
  #refusal = '';
  #isReady = false;
  #isBorn = false;
  #bornMs = -Infinity;
  #birth: Timer | undefined;
  /** Of the present connection; its birth and its will carry the same. */
  #bdSeq = 255;
  #sequence = 0;
  #disposed: Promise<void> | undefined;

  constructor(options: SparkplugEdgeNodeOptions) {
    const { config, deps } = options;
    this.#options = options;
    this.#metrics = deps.metrics.of(sparkplugPublishMetrics);
    this.#health = deps.health.component('sparkplug');
    const clientId = randomClientId(deps.random, 'sparkplug');
    const who = { name: 'sparkplug', clientId, will: () => this.#nextWill() };
    this.#connection = new MqttConnection(mqttConnectionOptions({ ...config, ...CLEAN }, who), deps);
  }

  /** Connects, and goes on by itself. */
  start(): void {
    if (this.#unsubscribe !== undefined || this.#disposed !== undefined) return;
    this.#unsubscribe = this.#options.events.subscribe((event) => this.#take(event));
    this.#connection.onState((state) => this.#whenState(state));
    this.#connection.subscribe([this.#topic('NCMD')], (_topic, payload) => this.#obey(payload), 1);
    this.#connection.start();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    this.#unsubscribe?.();
    this.#birth?.cancel();
    // The broker publishes no will after a goodbye.
    if (this.#isBorn) await this.#publish('NDEATH', this.#death(), { qos: 1, timeoutMs: GOODBYE_TIMEOUT_MS });
    await this.#connection[Symbol.asyncDispose]();
    this.#health.remove();
  }

  #whenState({ connected, subscribed, reason, refusedTopics }: MqttState): void {
    if (!connected) {
      this.#isReady = false;
      this.#isBorn = false;
      this.#birth?.cancel();
      this.#birth = undefined;
      return this.#health.report('degraded', reason === '' ? 'Connecting to the broker' : reason);
    }
    if (!subscribed) return undefined;
    // Without its commands it could not be asked for a rebirth; values go out all the same.
    this.#refusal = refusedTopics.length === 0 ? '' : reason;
    if (this.#isReady) return undefined;
    this.#isReady = true;
    return this.#bear();
  }

  #take(event: LiveEvent): void {
    switch (event.type) {
      case 'verdict':
        return this.#tell(verdictMetrics(event.verdict));
      case 'alarm':
        // Alarms that could be read only now are in no birth yet.
        return event.id === undefined ? this.#bearSoon() : this.#tell(alarmMetrics(event.transition));
      case 'tags':
        return undefined;
    }
  }

  #tell(metrics: readonly SparkplugMetricDraft[]): void {
    // What happens before a birth is in it.
    if (!this.#isBorn) return;
    this.#sequence = (this.#sequence + 1) % 256;
    void this.#send('NDATA', metrics);
  }

  /** A host that lost track asks for everything anew; any other command is none that this node knows. */
  #obey(payload: Buffer): void {
    try {
      const { metrics } = decodeSparkplug(payload);
      const isAsked = metrics.some(
        ({ name, value }) => name === REBIRTH && (value.kind === 'boolean' ? value.value : value.kind === 'int'),
      );
      if (isAsked) this.#bearSoon();
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      this.#metrics.andon_sparkplug_dropped_total.inc({ code: error.code });
    }
  }

  #bearSoon(): void {
    if (this.#birth !== undefined || !this.#isReady) return;
    const { clock } = this.#options.deps;
    const waitMs = Math.max(0, this.#bornMs + BIRTH_INTERVAL_MS - clock.monotonicMs());
    this.#birth = clock.setTimer(() => this.#bear(), waitMs, { background: true });
  }

  #bear(): void {
    const { board, alarms, deps } = this.#options;
    const nowMs = deps.clock.nowMs();
    this.#birth = undefined;
    this.#bornMs = deps.clock.monotonicMs();
    this.#sequence = 0;
    this.#isBorn = true;
    void this.#send('NBIRTH', [
      this.#bdSeqMetric(),
      { name: REBIRTH, timestampMs: nowMs, dataType: dataTypes.Boolean, value: false },
      ...birthMetrics(board.watches(), alarms.list(), nowMs),
    ]);
  }

  async #send(type: 'NBIRTH' | 'NDATA', metrics: readonly SparkplugMetricDraft[]): Promise<void> {
    const payload = encodeSparkplug(this.#options.deps.clock.nowMs(), this.#sequence, metrics);
    await this.#publish(type, payload, { qos: 0, timeoutMs: PUBLISH_TIMEOUT_MS });
  }

  async #publish(
    type: MessageType,
    payload: Uint8Array,
    how: { readonly qos: 0 | 1; readonly timeoutMs: number },
  ): Promise<void> {
    try {
      await this.#connection.publish(this.#topic(type), Buffer.from(payload), { ...how, retain: false });
      this.#metrics.andon_sparkplug_sent_total.inc({ type });
      if (type === 'NBIRTH' && this.#isReady)
        this.#health.report(this.#refusal === '' ? 'ok' : 'degraded', this.#refusal);
    } catch (error) {
      this.#metrics.andon_sparkplug_dropped_total.inc({ code: errorCode(error) });
      // A lost connection speaks for itself; here hosts would see a gap in the sequence.
      if (!this.#isReady || this.#disposed !== undefined) return;
      this.#health.report('degraded', errorMessage(error));
      this.#bearSoon();
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
    return { name: BD_SEQ, timestampMs, dataType: dataTypes.UInt64, value: this.#bdSeq };
  }

  #topic(type: MessageType): string {
    const { agentId, config } = this.#options;
    return formatSparkplugTopic({ group: config.group, type, edgeNode: config.edgeNode ?? agentId, device: '' });
  }
}
