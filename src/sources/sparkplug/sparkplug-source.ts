import type { Source, SourceContext } from '../../contracts/source.ts';
import type { QualityReason } from '../../domain/sample/quality.ts';
import { SampleBatch } from '../../domain/sample/sample-batch.ts';
import type { TagNumber } from '../../domain/sample/tag.ts';
import type { Timer } from '../../platform/clock.ts';
import { errorMessage } from '../../platform/errors.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import type { MqttWill } from '../../protocols/mqtt/mqtt-client-options.ts';
import { mqttConnectionOptions, randomClientId } from '../../protocols/mqtt/mqtt-config.ts';
import { MqttConnection, type MqttState } from '../../protocols/mqtt/mqtt-connection.ts';
import { shownTopic } from '../../protocols/mqtt/mqtt-topic-filter.ts';
import {
  dataTypes,
  decodeSparkplug,
  encodeSparkplug,
  type SparkplugMetric,
  type SparkplugPayload,
} from '../../protocols/sparkplug/sparkplug-payload.ts';
import {
  BD_SEQ,
  formatSparkplugTopic,
  hostStateTopic,
  parseSparkplugTopic,
  REBIRTH,
  type SparkplugTopic,
} from '../../protocols/sparkplug/sparkplug-topic.ts';
import { badSamples, reportBrokerHealth } from '../broker-health.ts';
import { HeldFaults } from '../held-faults.ts';
import { type BornMetric, EdgeNode } from './edge-node.ts';
import { MetricRouter } from './metric-router.ts';
import { isSingleValue } from './metric-number.ts';
import { addSamples } from './metric-samples.ts';
import type { SparkplugSourceConfig } from './sparkplug-source-config.ts';
import { sparkplugSourceMetrics } from './sparkplug-source-metrics.ts';

/** Interval at which the source proves that it is scheduled, even if the broker sends nothing. */
const HEARTBEAT_MS = 1000;
/** Shortest time between two rebirth requests to an edge node, for which a birth is expensive. */
const REBIRTH_INTERVAL_MS = 30_000;
/** For the messages of the source itself. */
const PUBLISH_TIMEOUT_MS = 10_000;
/** Maximum number of edge nodes. Messages of further ones that a `+` matches are dropped and counted. */
const EDGE_NODES_MAX = 10_000;
const NAMED_MAX = 3;

type LeftOut = 'payload-invalid' | 'retained' | 'not-born' | 'gap' | 'repeat' | 'old-death' | 'too-many-nodes';

/**
 * A host application of Sparkplug B: reads tags from the metrics of edge nodes and their devices. A message is one
 * batch.
 *
 * A metric is valid from its birth. After a death, a lost message or the loss of the broker its tags are bad
 * (`device-offline`, `sequence-lost`, `link-down`) until the next birth. A birth is requested only if `rebirth` is on.
 */
export class SparkplugSource implements Source {
  readonly #context: SourceContext<SparkplugSourceConfig>;
  readonly #router: MetricRouter;
  readonly #connection: MqttConnection;
  readonly #metrics;
  readonly #faults: HeldFaults;
  readonly #nodes = new Map<string, EdgeNode>();
  #health: ComponentHealth | undefined;
  #state: MqttState | undefined;
  #linkDown = false;
  #heartbeat: Timer | undefined;
  #tickMs: number;
  #disposed: Promise<void> | undefined;

  constructor(context: SourceContext<SparkplugSourceConfig>) {
    const { id, config, deps } = context;
    this.#context = context;
    this.#router = new MetricRouter(context);
    this.#metrics = deps.metrics.of(sparkplugSourceMetrics);
    this.#faults = new HeldFaults(deps.clock);
    this.#tickMs = deps.clock.monotonicMs();
    for (const { group, edgeNode } of this.#router.edgeNodes())
      this.#nodes.set(`${group}/${edgeNode}`, new EdgeNode(group, edgeNode, this.#router.expected(group, edgeNode)));
    const name = `source/${id}`;
    const clientId = randomClientId(deps.random, name);
    const will = config.hostId === undefined ? {} : { will: () => this.#hostState('offline') };
    this.#connection = new MqttConnection(mqttConnectionOptions(config, { name, clientId, ...will }), deps);
  }

  start(): void {
    if (this.#disposed !== undefined) return;
    const { id, deps } = this.#context;
    this.#health = deps.health.component(`source/${id}`);
    this.#connection.onState((state) => this.#whenState(state));
    const take = (topic: string, payload: Buffer, retain: boolean) => this.#take(topic, payload, retain);
    this.#connection.subscribe(this.#router.filters(), take, 1);
    this.#beat();
    this.#connection.start();
  }

  lastTickMs(): number {
    return this.#tickMs;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    this.#heartbeat?.cancel();
    // The broker publishes no will after a DISCONNECT.
    await this.#publishHostState('offline');
    await this.#connection[Symbol.asyncDispose]();
    this.#health?.remove();
    this.#health = undefined;
  }

  #take(topicText: string, bytes: Buffer, retain: boolean): void {
    if (this.#disposed !== undefined) return;
    this.#tickMs = this.#context.deps.clock.monotonicMs();
    const topic = parseSparkplugTopic(topicText);
    if (topic === undefined || topic.type === 'NCMD' || topic.type === 'DCMD') return;
    // A retained birth may be of any age, and may belong to an earlier session.
    if (retain) return this.#leaveOut('retained');
    const node = this.#nodeOf(topic);
    if (node === undefined) return this.#leaveOut('too-many-nodes');
    let payload: SparkplugPayload;
    try {
      payload = decodeSparkplug(bytes);
    } catch (error) {
      this.#leaveOut('payload-invalid');
      this.#note(topicText, `${shownTopic(topicText)}: ${errorMessage(error)}`);
      return;
    }
    const before = node.trouble;
    this.#processMessage(node, topic, payload);
    if (node.trouble !== before) this.#report();
  }

  #processMessage(node: EdgeNode, topic: SparkplugTopic, payload: SparkplugPayload): void {
    switch (topic.type) {
      case 'NBIRTH': {
        const metrics = this.#bornMetrics(topic, payload);
        this.#sendBad(node.begin(payload.sequence ?? 0, bdSeqOf(payload), metrics), 'device-offline');
        return this.#processValues(node, topic.device, payload);
      }
      case 'NDEATH':
        if (!node.isOwnDeath(bdSeqOf(payload))) return this.#leaveOut('old-death');
        return this.#sendBad(node.end('dead'), 'device-offline');
      case 'DBIRTH':
        if (!this.#continues(node, payload)) return undefined;
        this.#sendBad(node.beginDevice(topic.device, this.#bornMetrics(topic, payload)), 'device-offline');
        return this.#processValues(node, topic.device, payload);
      case 'DDEATH':
        return this.#continues(node, payload)
          ? this.#sendBad(node.endDevice(topic.device), 'device-offline')
          : undefined;
      case 'NDATA':
      case 'DDATA':
        return this.#continues(node, payload) ? this.#processValues(node, topic.device, payload) : undefined;
      case 'NCMD':
      case 'DCMD':
        return undefined;
    }
  }

  #continues(node: EdgeNode, { sequence }: SparkplugPayload): boolean {
    const continuity = node.follow(sequence);
    if (continuity === 'next') return true;
    this.#leaveOut(continuity);
    if (continuity === 'repeat') return false;
    if (continuity === 'gap') this.#sendBad(node.end('lost'), 'sequence-lost');
    this.#requestBirth(node);
    return false;
  }

  /** Returns the metrics of a birth that have tags. */
  #bornMetrics({ group, edgeNode, device }: SparkplugTopic, payload: SparkplugPayload): readonly BornMetric[] {
    return payload.metrics.flatMap(({ name, alias, dataType, value }) => {
      // Only metrics that can have a single value make tags.
      if (name === undefined || name === '' || !isSingleValue(value, dataType)) return [];
      const tags = this.#router.find({ group, edgeNode, device, metric: name }, ({ pattern, reason, text }) => {
        this.#metrics.andon_sparkplug_metrics_left_out_total.inc({ source: this.#context.id, reason });
        this.#note(`${pattern} ${reason}`, shownTopic(text));
      });
      return tags.length === 0 ? [] : [{ name, alias, device, dataType, tags }];
    });
  }

  #processValues(node: EdgeNode, device: string | undefined, { metrics, timestampMs }: SparkplugPayload): void {
    const { id, config, sink, history, deps } = this.#context;
    const found = metrics.flatMap((metric) => {
      const born = this.#isReadable(metric) ? node.find(device, metric.name, metric.alias) : undefined;
      return born === undefined ? [] : [{ metric, born }];
    });
    const arrival = { timeMs: deps.clock.nowMs(), sentMs: timestampMs, futureToleranceMs: config.futureToleranceMs };
    const { true: past = [], false: live = [] } = Object.groupBy(found, ({ metric }) => `${metric.isHistorical}`);
    if (live.length > 0) sink.accept(batchOf(live));
    if (past.length === 0) return;
    this.#metrics.andon_sparkplug_historical_total.inc({ source: id }, past.length);
    history.add(batchOf(past));

    function batchOf(entries: typeof found): SampleBatch {
      const batch = new SampleBatch(entries.reduce((sum, { born }) => sum + born.tags.length, 0));
      for (const { metric, born } of entries) addSamples(batch, metric, born, arrival);
      return batch;
    }
  }

  #isReadable({ value: { kind } }: SparkplugMetric): boolean {
    if (kind !== 'data-set' && kind !== 'template' && kind !== 'bytes' && kind !== 'extension') return true;
    this.#metrics.andon_sparkplug_metrics_left_out_total.inc({ source: this.#context.id, reason: kind });
    return false;
  }

  #nodeOf({ group, edgeNode }: SparkplugTopic): EdgeNode | undefined {
    const key = `${group}/${edgeNode}`;
    const known = this.#nodes.get(key);
    if (known !== undefined || this.#nodes.size >= EDGE_NODES_MAX) return known;
    // Edge nodes of the configuration exist from the start; no metrics are expected of others.
    const node = new EdgeNode(group, edgeNode, new Map());
    this.#nodes.set(key, node);
    return node;
  }

  #whenState(state: MqttState): void {
    this.#tickMs = this.#context.deps.clock.monotonicMs();
    const wasSubscribed = this.#state?.subscribed === true;
    this.#state = state;
    if (!state.connected && !this.#linkDown) {
      this.#linkDown = true;
      const tags = [...this.#nodes.values()].flatMap((node) => node.end('not-born'));
      this.#sendBad([...new Set([...tags, ...this.#router.fixedTags()])], 'link-down');
    }
    if (state.connected) this.#linkDown = false;
    if (state.subscribed && !wasSubscribed) {
      void this.#publishHostState('online');
      for (const node of this.#nodes.values()) if (!node.isAlive) this.#requestBirth(node);
    }
    this.#report();
  }

  /** Requests a birth if the configuration allows it, because the request is a write to the device. */
  #requestBirth(node: EdgeNode): void {
    const { id, config, deps } = this.#context;
    const nowMs = deps.clock.monotonicMs();
    if (!config.rebirth || nowMs - node.rebirthRequestedMs < REBIRTH_INTERVAL_MS) return;
    node.rebirthRequestedMs = nowMs;
    const timeMs = deps.clock.nowMs();
    const command = { name: REBIRTH, timestampMs: timeMs, dataType: dataTypes.Boolean, value: true };
    const topic = formatSparkplugTopic({ group: node.group, type: 'NCMD', edgeNode: node.id, device: undefined });
    this.#metrics.andon_sparkplug_rebirths_requested_total.inc({ source: id });
    void this.#publish(topic, Buffer.from(encodeSparkplug(timeMs, undefined, [command])), { qos: 0, retain: false });
  }

  async #publishHostState(state: 'online' | 'offline'): Promise<void> {
    if (this.#context.config.hostId === undefined || !this.#connection.connected) return;
    const { topic, payload } = this.#hostState(state);
    await this.#publish(topic, Buffer.from(payload), { qos: 1, retain: true });
  }

  #hostState(state: 'online' | 'offline'): MqttWill {
    const { config, deps } = this.#context;
    const payload = JSON.stringify({ online: state === 'online', timestamp: Math.round(deps.clock.nowMs()) });
    return { topic: hostStateTopic(config.hostId ?? ''), payload, qos: 1, retain: true };
  }

  /** Reports a refused message in health; a lost connection is reported by its state. */
  async #publish(
    topic: string,
    payload: Buffer,
    how: { readonly qos: 0 | 1; readonly retain: boolean },
  ): Promise<void> {
    try {
      await this.#connection.publish(topic, payload, { ...how, timeoutMs: PUBLISH_TIMEOUT_MS });
    } catch (error) {
      if (this.#connection.connected && this.#disposed === undefined) this.#note(topic, errorMessage(error));
    }
  }

  #leaveOut(reason: LeftOut): void {
    this.#metrics.andon_sparkplug_messages_left_out_total.inc({ source: this.#context.id, reason });
  }

  #note(key: string, text: string): void {
    if (this.#faults.note(key, text)) this.#report();
  }

  #sendBad(tags: readonly TagNumber[], reason: QualityReason): void {
    const { sink, deps } = this.#context;
    if (tags.length > 0) sink.accept(badSamples(tags, reason, deps.clock.nowMs()));
  }

  #beat(): void {
    const { id, deps } = this.#context;
    this.#tickMs = deps.clock.monotonicMs();
    const alive = [...this.#nodes.values()].filter(({ isAlive }) => isAlive).length;
    this.#metrics.andon_sparkplug_edge_nodes.set({ source: id }, alive);
    if (this.#faults.forget()) this.#report();
    this.#heartbeat = deps.clock.setTimer(() => this.#beat(), HEARTBEAT_MS);
  }

  #report(): void {
    const troubles = [...this.#nodes.values()].flatMap(({ trouble }) => trouble ?? []);
    const more = troubles.length > NAMED_MAX ? [`${troubles.length - NAMED_MAX} more edge nodes`] : [];
    reportBrokerHealth(this.#health, this.#state, [...troubles.slice(0, NAMED_MAX), ...more, this.#faults.text()]);
  }
}

function bdSeqOf({ metrics }: SparkplugPayload): number | undefined {
  const value = metrics.find(({ name }) => name === BD_SEQ)?.value;
  if (value?.kind === 'long') return Number(value.value);
  return value?.kind === 'int' ? value.value : undefined;
}
