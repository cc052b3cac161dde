import type { SourceContext, Source } from '../../contracts/source.ts';
import type { QualityReason } from '../../domain/quality.ts';
import { BAD } from '../../domain/quality.ts';
import { SampleBatch } from '../../domain/sample-batch.ts';
import type { Timer } from '../../platform/clock.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import { mqttConnectionOptions, randomClientId } from '../../platform/mqtt-config.ts';
import type { MqttState } from '../../platform/mqtt-connection.ts';
import { MqttConnection } from '../../platform/mqtt-connection.ts';
import type { MessageFault } from './message-decode.ts';
import { decodeMessage } from './message-decode.ts';
import type { MqttSourceConfig } from './mqtt-source-config.ts';
import { mqttSourceMetrics } from './mqtt-source-metrics.ts';
import type { TopicPlan } from './topic-plan.ts';
import { planTopics } from './topic-plan.ts';

/** Shows that the source's own scheduling lives, when the broker has nothing to say. */
const HEARTBEAT_MS = 1000;
/** A topic with a faulty message is named in health for this long, so that one that flaps makes no flood of log lines. */
const FAULT_HELD_MS = 10_000;
/** Topics with faults, and refused ones, that are named; the rest is a number. */
const NAMED_MAX = 3;

type HeldFault = { readonly text: string; readonly untilMs: number };

/**
 * Tags from the topics of one broker. A message is one batch with all tags of its topic.
 *
 * While the broker is away its tags are bad with `link-down`, told once; the ones of a topic that the broker
 * refuses are bad with `refused`.
 */
export class MqttSource implements Source {
  readonly #context: SourceContext<MqttSourceConfig>;
  readonly #plans: ReadonlyMap<string, TopicPlan>;
  readonly #connection: MqttConnection;
  readonly #faultsTotal;
  readonly #faults = new Map<string, HeldFault>();
  #health: ComponentHealth | undefined;
  #state: MqttState | undefined;
  #refusedTopics: readonly string[] = [];
  /** Whether the tags were last told to be bad for want of a connection. */
  #linkDown = false;
  #heartbeat: Timer | undefined;
  #tickMs: number;
  #disposed = false;

  constructor(context: SourceContext<MqttSourceConfig>) {
    const { id, config, tagNumbers, deps } = context;
    this.#context = context;
    this.#plans = planTopics(config, tagNumbers);
    this.#faultsTotal = deps.metrics.of(mqttSourceMetrics).andon_mqtt_message_faults_total;
    this.#tickMs = deps.clock.monotonicMs();
    const name = `source/${id}`;
    const clientId = randomClientId(deps.random, name);
    this.#connection = new MqttConnection(mqttConnectionOptions(config, { name, clientId }), deps);
  }

  start(): void {
    if (this.#disposed) return;
    const { id, deps } = this.#context;
    this.#health = deps.health.component(`source/${id}`);
    this.#connection.onState((state) => this.#whenState(state));
    for (const [qos, plans] of Map.groupBy(this.#plans.values(), (plan) => plan.qos)) {
      const topics = plans.map(({ topic }) => topic);
      this.#connection.subscribe(topics, (topic, payload, retain) => this.#take(topic, payload, retain), qos);
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

  #take(topic: string, payload: Buffer, retain: boolean): void {
    const plan = this.#plans.get(topic);
    if (plan === undefined || this.#disposed) return;
    const { config, sink, deps } = this.#context;
    this.#tickMs = deps.clock.monotonicMs();
    const fault = decodeMessage(plan, payload, {
      timeMs: deps.clock.nowMs(),
      retain,
      futureToleranceMs: config.futureTolerance,
    });
    if (fault !== undefined) this.#note(topic, fault);
    sink.accept(plan.batch);
  }

  #note(topic: string, fault: MessageFault): void {
    this.#faultsTotal.inc({ source: this.#context.id, reason: fault.reason });
    const isNew = !this.#faults.has(topic);
    this.#faults.set(topic, { text: `${topic}: ${fault.text}`, untilMs: this.#tickMs + FAULT_HELD_MS });
    if (isNew) this.#report();
  }

  #whenState(state: MqttState): void {
    this.#tickMs = this.#context.deps.clock.monotonicMs();
    this.#state = state;
    if (state.connected) this.#linkDown = false;
    else if (!this.#linkDown) {
      this.#linkDown = true;
      this.#refusedTopics = [];
      this.#tellBad([...this.#plans.values()], 'link-down');
    }
    if (state.subscribed) this.#tellRefused(state.refusedTopics);
    this.#report();
  }

  #tellRefused(topics: readonly string[]): void {
    const told = new Set(this.#refusedTopics);
    this.#refusedTopics = topics;
    const plans = topics.filter((topic) => !told.has(topic)).flatMap((topic) => this.#plans.get(topic) ?? []);
    if (plans.length > 0) this.#tellBad(plans, 'refused');
  }

  #tellBad(plans: readonly TopicPlan[], reason: QualityReason): void {
    const { sink, deps } = this.#context;
    const tags = plans.flatMap((plan) => plan.tags);
    const batch = new SampleBatch(tags.length);
    for (const { tag } of tags) batch.add(tag, Number.NaN, deps.clock.nowMs(), BAD, reason);
    sink.accept(batch);
  }

  #beat(): void {
    this.#tickMs = this.#context.deps.clock.monotonicMs();
    const over = [...this.#faults].filter(([, { untilMs }]) => untilMs <= this.#tickMs);
    for (const [topic] of over) this.#faults.delete(topic);
    if (over.length > 0) this.#report();
    this.#heartbeat = this.#context.deps.clock.setTimer(() => this.#beat(), HEARTBEAT_MS);
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
    const texts = [state.reason, this.#faultsText()].filter((text) => text !== '');
    this.#health?.report(texts.length === 0 ? 'ok' : 'degraded', texts.join('; '));
  }

  #faultsText(): string {
    const named = [...this.#faults.values()].slice(0, NAMED_MAX).map(({ text }) => text);
    const more = this.#faults.size > NAMED_MAX ? [`${this.#faults.size - NAMED_MAX} more topics`] : [];
    return [...named, ...more].join('; ');
  }
}
