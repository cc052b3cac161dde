import type { SourceContext, Source } from '../../contracts/source.ts';
import type { QualityReason } from '../../domain/sample/quality.ts';
import type { SampleBatch } from '../../domain/sample/sample-batch.ts';
import type { TagNumber } from '../../domain/sample/tag.ts';
import type { Timer } from '../../platform/clock.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import { mqttConnectionOptions, randomClientId } from '../../protocols/mqtt/mqtt-config.ts';
import { MqttConnection, type MqttState } from '../../protocols/mqtt/mqtt-connection.ts';
import { shownTopic } from '../../protocols/mqtt/mqtt-topic-filter.ts';
import { badSamples, reportBrokerHealth } from '../broker-health.ts';
import { GroupedWait } from '../grouped-wait.ts';
import { HeldFaults } from '../held-faults.ts';
import { decodeMessage } from './message-decode.ts';
import type { MqttSourceConfig } from './mqtt-source-config.ts';
import { mqttSourceMetrics } from './mqtt-source-metrics.ts';
import { type RefusedTopic, TopicRouter } from './topic-router.ts';

/** Interval at which the source proves that it is scheduled, even if the broker sends nothing. */
const HEARTBEAT_MS = 1000;

/**
 * Reads tags from the topics of one broker. A message makes one batch with all tags of its topic; a message with a
 * list of samples makes one batch for each sample.
 *
 * When the connection is lost, each tag gets one bad sample with `link-down`. Tags of a topic whose subscription the
 * broker refuses get one with `refused`.
 */
export class MqttSource implements Source {
  readonly #context: SourceContext<MqttSourceConfig>;
  readonly #router: TopicRouter;
  readonly #connection: MqttConnection;
  readonly #metrics;
  readonly #faults: HeldFaults;
  /** Undefined if a message is acknowledged when it is received. */
  readonly #stored: GroupedWait | undefined;
  #health: ComponentHealth | undefined;
  #state: MqttState | undefined;
  #refusedFilters: readonly string[] = [];
  /** True if the tags have got their `link-down` sample. */
  #linkDown = false;
  #heartbeat: Timer | undefined;
  #tickMs: number;
  #disposed = false;

  constructor(context: SourceContext<MqttSourceConfig>) {
    const { id, config, history, deps } = context;
    this.#context = context;
    this.#router = new TopicRouter(context);
    this.#metrics = deps.metrics.of(mqttSourceMetrics);
    this.#faults = new HeldFaults(deps.clock);
    this.#stored = config.acknowledge === 'stored' ? new GroupedWait(() => history.stored()) : undefined;
    this.#tickMs = deps.clock.monotonicMs();
    const name = `source/${id}`;
    const clientId = randomClientId(deps.random, name);
    this.#connection = new MqttConnection(mqttConnectionOptions(config, { name, clientId }), deps);
  }

  start(): void {
    if (this.#disposed) return;
    const { id, config, deps } = this.#context;
    this.#health = deps.health.component(`source/${id}`);
    this.#connection.onState((state) => this.#whenState(state));
    const prefix = sharePrefix(config);
    for (const [qos, members] of Map.groupBy(this.#router.subscriptions(), (each) => each.qos)) {
      const filters = members.map(({ filter }) => `${prefix}${filter}`);
      this.#connection.subscribe(filters, (topic, payload, retain) => this.#take(topic, payload, retain), qos);
    }
    this.#beat();
    this.#connection.start();
  }

  lastTickMs(): number {
    return this.#tickMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#heartbeat?.cancel();
    await this.#connection[Symbol.asyncDispose]();
    this.#health?.remove();
    this.#health = undefined;
  }

  readonly #accept = (batch: SampleBatch): void => this.#context.sink.accept(batch);

  #take(topic: string, payload: Buffer, retain: boolean): void | Promise<void> {
    if (this.#disposed) return undefined;
    const { config, deps } = this.#context;
    this.#tickMs = deps.clock.monotonicMs();
    const plan = this.#router.find(topic, (refused) => this.#noteRefused(refused));
    if (plan === undefined) return undefined;
    const arrival = { timeMs: deps.clock.nowMs(), retain, futureToleranceMs: config.futureToleranceMs };
    const fault = decodeMessage(plan, payload, arrival, this.#accept);
    if (fault !== undefined) {
      this.#metrics.andon_mqtt_message_faults_total.inc({ source: this.#context.id, reason: fault.reason });
      this.#note(topic, `${topic}: ${fault.text}`);
    }
    return this.#stored?.join();
  }

  #noteRefused({ pattern, reason, text }: RefusedTopic): void {
    this.#metrics.andon_mqtt_topics_left_out_total.inc({ source: this.#context.id, pattern, reason });
    this.#note(`${pattern} ${reason}`, text);
  }

  #note(key: string, text: string): void {
    if (this.#faults.note(key, shownTopic(text))) this.#report();
  }

  #whenState(state: MqttState): void {
    this.#tickMs = this.#context.deps.clock.monotonicMs();
    this.#state = state;
    if (state.connected) this.#linkDown = false;
    else if (!this.#linkDown) {
      this.#linkDown = true;
      this.#refusedFilters = [];
      this.#sendBad(this.#router.tags(), 'link-down');
    }
    if (state.subscribed) this.#sendRefused(state.refusedTopics);
    this.#report();
  }

  #sendRefused(filters: readonly string[]): void {
    const known = new Set(this.#refusedFilters);
    this.#refusedFilters = filters;
    const prefix = sharePrefix(this.#context.config);
    const fresh = filters.filter((filter) => !known.has(filter));
    this.#sendBad(
      fresh.flatMap((filter) => this.#router.tagsOf(filter.slice(prefix.length))),
      'refused',
    );
  }

  #sendBad(tags: readonly TagNumber[], reason: QualityReason): void {
    const { sink, deps } = this.#context;
    if (tags.length > 0) sink.accept(badSamples(tags, reason, deps.clock.nowMs()));
  }

  #beat(): void {
    const { id, deps } = this.#context;
    this.#tickMs = deps.clock.monotonicMs();
    for (const { pattern, tags } of this.#router.made())
      this.#metrics.andon_mqtt_pattern_tags.set({ source: id, pattern }, tags);
    if (this.#faults.forget()) this.#report();
    this.#heartbeat = deps.clock.setTimer(() => this.#beat(), HEARTBEAT_MS);
  }

  #report(): void {
    reportBrokerHealth(this.#health, this.#state, [this.#faults.text()]);
  }
}

function sharePrefix({ sharedGroup }: MqttSourceConfig): string {
  return sharedGroup === undefined ? '' : `$share/${sharedGroup}/`;
}
