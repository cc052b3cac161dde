import type { SourceContext } from '../../contracts/source.ts';
import { SampleBatch } from '../../domain/sample/sample-batch.ts';
import type { TagNumber } from '../../domain/sample/tag.ts';
import { errorMessage } from '../../platform/errors.ts';
import type { MqttState } from '../../protocols/mqtt/mqtt-connection.ts';
import {
  dataTypes,
  decodeSparkplug,
  encodeSparkplug,
  type MetricValue,
  type SparkplugPayload,
} from '../../protocols/sparkplug/sparkplug-payload.ts';
import {
  BD_SEQ,
  formatSparkplugTopic,
  parseSparkplugTopic,
  REBIRTH,
  type SparkplugTopic,
} from '../../protocols/sparkplug/sparkplug-topic.ts';
import { BrokerSource } from '../broker-source.ts';
import type { TopicReader } from '../topic-browser.ts';
import { bareAliases, type Birth, type BornMetric, namedMetrics, type NamedMetric, readBirth } from './birth.ts';
import { EdgeNode } from './edge-node.ts';
import { HostState } from './host-state.ts';
import { MetricReader } from './metric-reader.ts';
import { MetricRouter } from './metric-router.ts';
import { addSamples, type MetricArrival } from './metric-samples.ts';
import type { SparkplugSourceConfig } from './sparkplug-source-config.ts';
import { sparkplugSourceMetrics } from './sparkplug-source-metrics.ts';

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
export class SparkplugSource extends BrokerSource<SparkplugSourceConfig> {
  protected override readonly anyTopic = 'spBv1.0/#';
  readonly #router: MetricRouter;
  readonly #metrics;
  readonly #nodes = new Map<string, EdgeNode>();
  readonly #hostState: HostState | undefined;
  #wasSubscribed = false;
  #hasConnected = false;

  constructor(context: SourceContext<SparkplugSourceConfig>) {
    const { config, deps } = context;
    const hostState = config.hostId === undefined ? undefined : new HostState(config.hostId, deps.clock);
    super(context, hostState === undefined ? undefined : () => hostState.nextWill());
    this.#hostState = hostState;
    this.#router = new MetricRouter(context);
    this.#metrics = deps.metrics.of(sparkplugSourceMetrics);
    for (const { group, edgeNode } of this.#router.edgeNodes())
      this.#nodes.set(`${group}/${edgeNode}`, new EdgeNode(group, edgeNode, this.#router.expected(group, edgeNode)));
  }

  protected override subscribe(): void {
    const take = (topic: string, payload: Buffer, retain: boolean) => this.#take(topic, payload, retain);
    this.connection.subscribe(this.#router.filters(), take, 1);
    const state = this.#hostState;
    if (state === undefined) return;
    this.connection.subscribe(
      [state.topic],
      (_topic, payload, retain) => this.#takeHostState(state, payload, retain),
      1,
    );
  }

  protected override goodbye(): Promise<void> {
    // The broker publishes no will after a DISCONNECT.
    return this.#publishHostState('offline');
  }

  protected override lose(): readonly TagNumber[] {
    this.#wasSubscribed = false;
    const tags = [...this.#nodes.values()].flatMap((node) => node.end('not-born'));
    return [...new Set([...tags, ...this.#router.fixedTags()])];
  }

  /** The state of the host is retained, and so is its will at the login. Only MQTT 5 names this as the reason. */
  protected override lossHint({ reason, retainRefused }: MqttState & { connected: false }): string {
    if (this.#hostState === undefined) return '';
    if (retainRefused) return '. hostId needs a broker with retained messages';
    if (this.#hasConnected || !reason.startsWith('The broker closed the connection')) return '';
    return '. A broker without retained messages closes it at the login: hostId needs them';
  }

  protected override whenState({ subscribed }: MqttState): void {
    this.#hasConnected = true;
    if (subscribed && !this.#wasSubscribed) {
      void this.#publishHostState('online');
      for (const node of this.#nodes.values()) if (!node.isAlive) this.#requestBirth(node);
    }
    this.#wasSubscribed = subscribed;
  }

  /** The aliases of edge nodes that the source reads are known without a birth. */
  protected override topicReader(): TopicReader {
    return new MetricReader(
      ({ group, edgeNode, device }) => this.#nodes.get(`${group}/${edgeNode}`)?.lastBirth(device)?.aliases,
    );
  }

  protected override beat(): void {
    const alive = [...this.#nodes.values()].filter(({ isAlive }) => isAlive).length;
    this.#metrics.andon_sparkplug_edge_nodes.set({ source: this.context.id }, alive);
  }

  protected override troubles(): readonly string[] {
    const troubles = [...this.#nodes.values()].flatMap(({ trouble }) => trouble ?? []);
    const more = troubles.length > NAMED_MAX ? [`${troubles.length - NAMED_MAX} more edge nodes`] : [];
    return [...troubles.slice(0, NAMED_MAX), ...more];
  }

  /** Another client with the host id, or a delayed will of an earlier connection, must not leave the edge nodes offline. */
  #takeHostState(state: HostState, payload: Buffer, retain: boolean): void {
    // A retained state is the one before this connection.
    if (retain || this.isDisposed || !this.#wasSubscribed) return;
    const foreign = state.foreignOffline(payload);
    if (foreign === undefined) return;
    this.note(state.topic, `${state.topic}: another client published ${foreign}; andon published its state again`);
    void this.#publishHostState('online');
  }

  #take(topicText: string, bytes: Buffer, retain: boolean): void {
    if (this.isDisposed) return;
    this.tick();
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
      this.note(topicText, `${topicText}: ${errorMessage(error)}`);
      return;
    }
    const before = node.trouble;
    this.#processMessage(node, topic, payload);
    if (node.trouble !== before) this.report();
  }

  #processMessage(node: EdgeNode, topic: SparkplugTopic, payload: SparkplugPayload): void {
    switch (topic.type) {
      case 'NBIRTH': {
        const birth = this.#readBirth(topic, payload);
        this.#endSession(node.begin(payload.sequence ?? 0, bdSeqOf(payload.metrics), birth));
        return this.#processValues(node, topic.device, payload);
      }
      case 'NDEATH':
        if (!node.isOwnDeath(deathBdSeq(node, payload))) return this.#leaveOut('old-death');
        return this.#endSession(node.end('dead'));
      case 'DBIRTH':
        if (!this.#continues(node, payload)) return undefined;
        this.#endSession(node.beginDevice(topic.device, this.#readBirth(topic, payload)));
        return this.#processValues(node, topic.device, payload);
      case 'DDEATH':
        return this.#continues(node, payload) ? this.#endSession(node.endDevice(topic.device)) : undefined;
      case 'NDATA':
      case 'DDATA':
        return this.#continues(node, payload) ? this.#processValues(node, topic.device, payload) : undefined;
      case 'NCMD':
      case 'DCMD':
        return undefined;
    }
  }

  #continues(node: EdgeNode, { sequence = 0 }: SparkplugPayload): boolean {
    const continuity = node.follow(sequence);
    if (continuity === 'next') return true;
    this.#leaveOut(continuity);
    if (continuity === 'repeat') return false;
    if (continuity === 'gap') this.#endSession(node.end('lost'), 'sequence-lost');
    this.#requestBirth(node);
    return false;
  }

  #endSession(tags: readonly TagNumber[], reason: 'device-offline' | 'sequence-lost' = 'device-offline'): void {
    for (const tag of tags) this.noteContent(tag, undefined);
    this.sendBad(tags, reason);
  }

  #readBirth({ group, edgeNode, device }: SparkplugTopic, { metrics }: SparkplugPayload): Birth {
    return readBirth(metrics, (metric) =>
      this.#router.find({ group, edgeNode, device, metric }, ({ pattern, reason, text }) => {
        this.#metrics.andon_sparkplug_metrics_left_out_total.inc({ source: this.context.id, reason });
        this.note(`${pattern} ${reason}`, text);
      }),
    );
  }

  #noteUnknown(node: EdgeNode, device: string | undefined, alias: number): void {
    const path = [node.group, node.id, ...(device === undefined ? [] : [device])].join('/');
    this.#metrics.andon_sparkplug_metrics_left_out_total.inc({ source: this.context.id, reason: 'unknown-alias' });
    this.note(
      `${path} alias`,
      `${path}: alias ${alias} is not in its birth, so its values are left out. Restart the edge node, or send it a rebirth request`,
    );
  }

  /** A value by an alias with several names is of one of them, so that the values of all of them may be old. */
  #checkAliases(node: EdgeNode, device: string | undefined, metrics: SparkplugPayload['metrics']): void {
    const birth = node.lastBirth(device);
    if (birth === undefined) return;
    for (const alias of new Set(bareAliases(metrics))) {
      if (birth.aliases.has(alias)) continue;
      const names = birth.ambiguous.get(alias) ?? [];
      if (names.length === 0) this.#noteUnknown(node, device, alias);
      const concerned = [...birth.byName.values()].filter(({ name }) =>
        names.some((each) => name === each || name.startsWith(`${each}/`)),
      );
      const tags = concerned.flatMap((metric) => metric.tags.map(({ tag }) => tag));
      for (const metric of concerned)
        for (const { tag } of metric.tags)
          this.noteContent(
            tag,
            `${metric.name}: a value came with alias ${alias} only, which is ${names.join(' and ')}`,
          );
      this.sendBad(tags, 'payload-invalid');
    }
  }

  #processValues(node: EdgeNode, device: string | undefined, { metrics, timestamp }: SparkplugPayload): void {
    const { id, config, sink, history, deps } = this.context;
    const named = namedMetrics(metrics, (alias) => node.lastBirth(device)?.aliases.get(alias));
    const found = named
      .filter((each) => this.#isReadable(each.metric.value))
      .flatMap((each) => valuesOf(node, device, each));
    const arrival = { timeMs: deps.clock.nowMs(), sent: timestamp, futureToleranceMs: config.futureToleranceMs };
    const { true: past = [], false: live = [] } = Object.groupBy(found, ({ metric }) => `${metric.isHistorical}`);
    if (live.length > 0)
      sink.accept(
        batchOf(live, arrival, ({ name, tags: [first] }, fault) => {
          if (first === undefined) return;
          const path = [node.group, node.id, ...(device === undefined ? [] : [device]), name].join('/');
          this.noteContent(first.tag, fault === undefined ? undefined : `${path}: ${fault}`);
        }),
      );
    this.#checkAliases(node, device, metrics);
    if (past.length === 0) return;
    this.#metrics.andon_sparkplug_historical_total.inc({ source: id }, past.length);
    history.add(batchOf(past, arrival, () => undefined));
  }

  /** Counts values that are not process values. A template is read through its members. */
  #isReadable({ kind }: MetricValue): boolean {
    if (kind === 'template') return false;
    if (kind !== 'data-set' && kind !== 'bytes' && kind !== 'extension') return true;
    this.#metrics.andon_sparkplug_metrics_left_out_total.inc({ source: this.context.id, reason: kind });
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

  /** Requests a birth if the configuration allows it, because the request is a write to the device. */
  #requestBirth(node: EdgeNode): void {
    const { id, config, deps } = this.context;
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
    if (this.#hostState === undefined || !this.connection.connected) return;
    const payload = state === 'online' ? this.#hostState.online() : this.#hostState.offline();
    await this.#publish(this.#hostState.topic, Buffer.from(payload), { qos: 1, retain: true });
  }

  /** Reports a refused message in health; a lost connection is reported by its state. */
  async #publish(
    topic: string,
    payload: Buffer,
    how: { readonly qos: 0 | 1; readonly retain: boolean },
  ): Promise<void> {
    try {
      await this.connection.publish(topic, payload, { ...how, timeoutMs: PUBLISH_TIMEOUT_MS });
    } catch (error) {
      if (this.connection.connected && !this.isDisposed) this.note(topic, errorMessage(error));
    }
  }

  #leaveOut(reason: LeftOut): void {
    this.#metrics.andon_sparkplug_messages_left_out_total.inc({ source: this.context.id, reason });
  }
}

type FoundMetric = { readonly metric: NamedMetric['metric']; readonly born: BornMetric };

/** Returns the metric with its tags. A template that is null makes its members null. */
function valuesOf(node: EdgeNode, device: string | undefined, { name, metric }: NamedMetric): readonly FoundMetric[] {
  const byName = node.lastBirth(device)?.byName;
  const born = byName?.get(name);
  if (born !== undefined) return [{ metric, born }];
  if (byName === undefined || metric.value.kind !== 'none') return [];
  const members = [...byName.values()].filter((member) => member.name.startsWith(`${name}/`));
  return members.map((member) => ({ metric, born: member }));
}

/** @param onFault Called for each metric, with undefined if its content has no fault. */
function batchOf(
  entries: readonly FoundMetric[],
  arrival: MetricArrival,
  onFault: (born: BornMetric, fault: string | undefined) => void,
): SampleBatch {
  const batch = new SampleBatch(entries.reduce((sum, { born }) => sum + born.tags.length, 0));
  for (const { metric, born } of entries) onFault(born, addSamples(batch, metric, born, arrival));
  return batch;
}

function deathBdSeq(node: EdgeNode, { metrics }: SparkplugPayload): number | undefined {
  const aliases = node.lastBirth(undefined)?.aliases;
  const byAlias = metrics.find(({ alias }) => alias !== undefined && aliases?.get(alias) === BD_SEQ);
  return bdSeqOf(byAlias === undefined ? metrics : [{ ...byAlias, name: BD_SEQ }]);
}

function bdSeqOf(metrics: SparkplugPayload['metrics']): number | undefined {
  const value = metrics.find(({ name }) => name === BD_SEQ)?.value;
  if (value?.kind === 'long') return Number(value.value);
  return value?.kind === 'int' ? value.value : undefined;
}
