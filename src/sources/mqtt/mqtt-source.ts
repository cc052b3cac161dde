import type { SourceContext, Source } from '../../contracts/source.ts';
import type { QualityReason } from '../../domain/sample/quality.ts';
import { BAD } from '../../domain/sample/quality.ts';
import { SampleBatch } from '../../domain/sample/sample-batch.ts';
import type { TagNumber } from '../../domain/sample/tag.ts';
import type { Timer } from '../../platform/clock.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import { mqttConnectionOptions, randomClientId } from '../../protocols/mqtt/mqtt-config.ts';
import type { MqttState } from '../../protocols/mqtt/mqtt-connection.ts';
import { MqttConnection } from '../../protocols/mqtt/mqtt-connection.ts';
import { shownTopic } from '../../protocols/mqtt/mqtt-topic-filter.ts';
import { GroupedWait } from '../grouped-wait.ts';
import { HeldFaults } from '../held-faults.ts';
import { decodeMessage } from './message-decode.ts';
import type { MqttSourceConfig } from './mqtt-source-config.ts';
import { mqttSourceMetrics } from './mqtt-source-metrics.ts';
import type { RefusedTopic } from './topic-router.ts';
import { TopicRouter } from './topic-router.ts';

/** Shows that the source's own scheduling lives, when the broker has nothing to say. */
const HEARTBEAT_MS = 1000;

/**
 * Tags from the topics of one broker. A message is one batch with all tags of its topic; one with a list of samples
 * is one batch for each.
 *
 * While the broker is away its tags are bad with `link-down`, told once; the ones of a topic that the broker
 * refuses are bad with `refused`.
 */
export class MqttSource implements Source {
  readonly #context: SourceContext<MqttSourceConfig>;
  readonly #router: TopicRouter;
  readonly #connection: MqttConnection;
  readonly #metrics;
  readonly #faults: HeldFaults;
  /** Undefined where a message is acknowledged as it comes. */
  readonly #stored: GroupedWait | undefined;
  #health: ComponentHealth | undefined;
  #state: MqttState | undefined;
  #refusedFilters: readonly string[] = [];
  /** Whether the tags were last told to be bad for want of a connection. */
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
      this.#tellBad(this.#router.tags(), 'link-down');
    }
    if (state.subscribed) this.#tellRefused(state.refusedTopics);
    this.#report();
  }

  #tellRefused(filters: readonly string[]): void {
    const told = new Set(this.#refusedFilters);
    this.#refusedFilters = filters;
    const prefix = sharePrefix(this.#context.config);
    const fresh = filters.filter((filter) => !told.has(filter));
    this.#tellBad(
      fresh.flatMap((filter) => this.#router.tagsOf(filter.slice(prefix.length))),
      'refused',
    );
  }

  #tellBad(tags: readonly TagNumber[], reason: QualityReason): void {
    if (tags.length === 0) return;
    const { sink, deps } = this.#context;
    const batch = new SampleBatch(tags.length);
    for (const tag of tags) batch.add(tag, Number.NaN, deps.clock.nowMs(), BAD, reason);
    sink.accept(batch);
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
    const state = this.#state;
    if (state === undefined) return;
    if (!state.connected) {
      const nextAttempt = `next attempt in ${((state.retryInMs ?? 0) / 1000).toFixed(1)} s`;
      return this.#health?.report('degraded', `${state.reason}; ${nextAttempt}`);
    }
    // Connected and not subscribed yet: what was reported last still holds.
    if (!state.subscribed) return;
    const texts = [state.reason, this.#faults.text()].filter((text) => text !== '');
    this.#health?.report(texts.length === 0 ? 'ok' : 'degraded', texts.join('; '));
  }
}

function sharePrefix({ sharedGroup }: MqttSourceConfig): string {
  return sharedGroup === undefined ? '' : `$share/${sharedGroup}/`;
}
