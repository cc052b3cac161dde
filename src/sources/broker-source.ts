import type { Source, SourceContext, TopicBrowse, TopicListing } from '../contracts/source.ts';
import { BAD, type QualityReason } from '../domain/sample/quality.ts';
import { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { TagNumber } from '../domain/sample/tag.ts';
import type { Timer } from '../platform/clock.ts';
import type { ComponentHealth } from '../platform/health.ts';
import type { MqttConnectionOptions } from '../protocols/mqtt/mqtt-client-options.ts';
import { type MqttConfig, mqttConnectionOptions, randomClientId } from '../protocols/mqtt/mqtt-config.ts';
import { MqttConnection, type MqttState } from '../protocols/mqtt/mqtt-connection.ts';
import { shownTopic } from '../protocols/mqtt/mqtt-topic-filter.ts';
import { HeldFaults } from './held-faults.ts';
import { TopicBrowser, type TopicReader } from './topic-browser.ts';

/** Interval at which the source proves that it is scheduled, even if the broker sends nothing. */
const HEARTBEAT_MS = 1000;

/**
 * A source that reads from one broker: connection, heartbeat, faults and health.
 *
 * When the connection is lost, each tag gets one bad sample with `link-down`.
 */
export abstract class BrokerSource<Config extends MqttConfig> implements Source {
  protected readonly context: SourceContext<Config>;
  protected readonly connection: MqttConnection;
  protected readonly faults: HeldFaults;
  readonly #browser: TopicBrowser;
  #health: ComponentHealth | undefined;
  #state: MqttState | undefined;
  #heartbeat: Timer | undefined;
  #tickMs: number;
  #disposed: Promise<void> | undefined;

  protected constructor(context: SourceContext<Config>, will?: MqttConnectionOptions['will']) {
    const { id, config, deps } = context;
    this.context = context;
    this.faults = new HeldFaults(deps.clock);
    this.#browser = new TopicBrowser(deps);
    this.#tickMs = deps.clock.monotonicMs();
    const name = `source/${id}`;
    const clientId = randomClientId(deps.random, name);
    this.connection = new MqttConnection(mqttConnectionOptions(config, { name, clientId, will }), deps);
  }

  /** Subscribes on the connection; called once, before it starts. */
  protected abstract subscribe(): void;
  /** Called after each change of the connection, except its loss. */
  protected abstract whenState(state: MqttState): void;
  /** Ends what is valid only while connected. @returns Every tag that has a value. */
  protected abstract lose(): readonly TagNumber[];
  /** Filter of all topics that this kind of source reads. */
  protected abstract readonly anyTopic: string;
  /** Returns a reader of messages for a person who looks for tags. */
  protected abstract topicReader(): TopicReader;
  /** Called about every second, for gauges. */
  protected abstract beat(): void;
  /** Current faults for health, in addition to `faults`. */
  protected troubles(): readonly string[] {
    return [];
  }

  /** Returns a remedy to append to the reason of a lost connection, or ''. */
  protected lossHint(_state: MqttState & { connected: false }): string {
    return '';
  }

  /** Sends the last messages before the DISCONNECT. */
  protected goodbye(): Promise<void> {
    return Promise.resolve();
  }

  start(): void {
    if (this.#disposed !== undefined) return;
    const { id, deps } = this.context;
    this.#health = deps.health.component(`source/${id}`);
    this.connection.onState((state) => this.#whenState(state));
    this.subscribe();
    this.#beat();
    this.connection.start();
  }

  lastTickMs(): number {
    return this.#tickMs;
  }

  browseTopics({ filter = this.anyTopic, forMs }: TopicBrowse): Promise<TopicListing> {
    const { protocolVersion } = this.connection;
    const config = {
      ...this.context.config,
      protocolVersion: protocolVersion === 4 ? ('3.1.1' as const) : ('5' as const),
    };
    return this.#browser.browse(config, { filter, forMs }, this.topicReader());
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    this.#heartbeat?.cancel();
    await this.#browser[Symbol.asyncDispose]();
    await this.goodbye();
    await this.connection[Symbol.asyncDispose]();
    this.#health?.remove();
    this.#health = undefined;
  }

  protected get isDisposed(): boolean {
    return this.#disposed !== undefined;
  }

  /** The source has done work: it received a message, for example. */
  protected tick(): void {
    this.#tickMs = this.context.deps.clock.monotonicMs();
  }

  /** Reports an event in health for 10 s. */
  protected note(key: string, text: string): void {
    if (this.faults.note(key, shownTopic(text))) this.report();
  }

  /** Reports in health that the content of a topic or tag is faulty, until a message without a fault. */
  protected noteContent(key: string | number, text: string | undefined): void {
    if (text === undefined) this.faults.end(key);
    else if (this.faults.begin(key, shownTopic(text))) this.report();
  }

  /** Sends one bad sample without a value for each tag. */
  protected sendBad(tags: readonly TagNumber[], reason: QualityReason): void {
    if (tags.length === 0) return;
    const { sink, deps } = this.context;
    const batch = new SampleBatch(tags.length);
    for (const tag of tags) batch.add(tag, Number.NaN, deps.clock.nowMs(), BAD, reason);
    sink.accept(batch);
  }

  protected report(): void {
    const state = this.#state;
    if (state === undefined) return;
    if (!state.connected) {
      const nextAttempt = `next attempt in ${(state.retryInMs / 1000).toFixed(1)} s`;
      return this.#health?.report('degraded', `${state.reason}${this.lossHint(state)}; ${nextAttempt}`, state.code);
    }
    // The last report stays valid until the subscriptions are answered.
    if (!state.subscribed) return;
    const texts = [state.reason, ...this.troubles(), this.faults.text()].filter((text) => text !== undefined);
    this.#health?.report(texts.length === 0 ? 'ok' : 'degraded', texts.join('; '));
  }

  #whenState(state: MqttState): void {
    this.tick();
    const wasConnected = this.#state?.connected !== false;
    this.#state = state;
    if (state.connected) this.whenState(state);
    else if (wasConnected) {
      this.faults.clear();
      this.sendBad(this.lose(), 'link-down');
    }
    this.report();
  }

  #beat(): void {
    this.tick();
    this.beat();
    if (this.faults.forget()) this.report();
    this.#heartbeat = this.context.deps.clock.setTimer(() => this.#beat(), HEARTBEAT_MS);
  }
}
