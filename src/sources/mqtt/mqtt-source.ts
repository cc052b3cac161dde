import type { SourceContext } from '../../contracts/source.ts';
import type { QualityReason } from '../../domain/sample/quality.ts';
import type { SampleBatch } from '../../domain/sample/sample-batch.ts';
import type { TagNumber } from '../../domain/sample/tag.ts';
import type { MqttState } from '../../protocols/mqtt/mqtt-connection.ts';
import { BrokerSource } from '../broker-source.ts';
import { tagNumberOf } from '../source-tags.ts';
import { GroupedWait } from '../grouped-wait.ts';
import { WaveformChannel } from '../waveform-channel.ts';
import { waveformRules, waveformTags } from '../waveform-fields.ts';
import type { TopicReader } from '../topic-browser.ts';
import { decodeMessage } from './message-decode.ts';
import type { MqttSourceConfig } from './mqtt-source-config.ts';
import { mqttSourceMetrics } from './mqtt-source-metrics.ts';
import { type RefusedTopic, TopicRouter } from './topic-router.ts';
import { PayloadReader } from './topic-values.ts';

/**
 * Reads tags from the topics of one broker. A message makes one batch with all tags of its topic; a message with a
 * list of samples makes one batch for each sample.
 *
 * When the connection is lost, each tag gets one bad sample with `link-down`. Tags of a topic whose subscription the
 * broker refuses get one with `refused`.
 */
export class MqttSource extends BrokerSource<MqttSourceConfig> {
  protected override readonly anyTopic = '#';
  readonly #router: TopicRouter;
  /** Waveforms by name. */
  readonly #channels: ReadonlyMap<string, WaveformChannel>;
  readonly #metrics;
  /** Undefined if a message is acknowledged when it is received. */
  readonly #stored: GroupedWait | undefined;
  #refusedFilters: readonly string[] = [];

  constructor(context: SourceContext<MqttSourceConfig>) {
    super(context);
    const { config, history, deps } = context;
    this.#channels = waveformChannels(context);
    this.#router = new TopicRouter(context, this.#channels);
    this.#metrics = deps.metrics.of(mqttSourceMetrics);
    this.#stored = config.acknowledge === 'stored' ? new GroupedWait(() => history.stored()) : undefined;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    for (const channel of this.#channels.values()) channel.close();
    await super[Symbol.asyncDispose]();
  }

  protected override subscribe(): void {
    const prefix = sharePrefix(this.context.config);
    for (const [qos, members] of Map.groupBy(this.#router.subscriptions(), (each) => each.qos)) {
      const filters = members.map(({ filter }) => `${prefix}${filter}`);
      this.connection.subscribe(filters, (topic, payload, retain) => this.#take(topic, payload, retain), qos);
    }
  }

  protected override lose(): readonly TagNumber[] {
    this.#refusedFilters = [];
    this.#failWaveforms([...this.#channels.values()], 'link-down');
    return this.#router.tags();
  }

  protected override whenState({ subscribed, refusedTopics }: MqttState): void {
    if (!subscribed) return;
    const known = new Set(this.#refusedFilters);
    this.#refusedFilters = refusedTopics;
    const prefix = sharePrefix(this.context.config);
    const fresh = refusedTopics.filter((filter) => !known.has(filter));
    const filters = fresh.map((filter) => filter.slice(prefix.length));
    this.sendBad(
      filters.flatMap((filter) => this.#router.tagsOf(filter)),
      'refused',
    );
    this.#failWaveforms(
      filters.flatMap((filter) => this.#router.channelsOf(filter)),
      'refused',
    );
  }

  protected override topicReader(): TopicReader {
    return new PayloadReader();
  }

  protected override beat(): void {
    for (const { pattern, tags } of this.#router.made())
      this.#metrics.andon_mqtt_pattern_tags.set({ source: this.context.id, pattern }, tags);
  }

  readonly #accept = (batch: SampleBatch): void => this.context.sink.accept(batch);

  #take(topic: string, payload: Buffer, retain: boolean): void | Promise<void> {
    if (this.isDisposed) return undefined;
    const { config, deps } = this.context;
    this.tick();
    const plan = this.#router.find(topic, (refused) => this.#noteRefused(refused));
    if (plan === undefined) return undefined;
    const arrival = { timeMs: deps.clock.nowMs(), retain, futureToleranceMs: config.futureToleranceMs };
    const fault = decodeMessage(plan, payload, arrival, this.#accept);
    if (fault !== undefined)
      this.#metrics.andon_mqtt_message_faults_total.inc({ source: this.context.id, reason: fault.reason });
    this.noteContent(topic, fault === undefined ? undefined : `${topic}: ${fault.text}`);
    if (this.#stored === undefined) return undefined;
    if (plan.waveforms.length === 0) return this.#stored.join();
    return this.#storedWaveforms(plan.waveforms.map(({ channel }) => channel));
  }

  async #storedWaveforms(channels: readonly WaveformChannel[]): Promise<void> {
    await Promise.all(channels.map((channel) => channel.delivered()));
    await this.#stored?.join();
  }

  #failWaveforms(channels: readonly WaveformChannel[], reason: QualityReason): void {
    for (const channel of channels) channel.fail(reason, this.context.deps.clock.nowMs());
  }

  #noteRefused({ pattern, reason, text }: RefusedTopic): void {
    this.#metrics.andon_mqtt_topics_left_out_total.inc({ source: this.context.id, pattern, reason });
    this.note(`${pattern} ${reason}`, text);
  }
}

function waveformChannels(context: SourceContext<MqttSourceConfig>): ReadonlyMap<string, WaveformChannel> {
  const waveforms = Object.entries(context.config.tags).filter(([, { type }]) => type === 'waveform');
  return new Map(
    waveforms.map(([name, config]) => {
      const tags = waveformTags(name, config).map((tag) => tagNumberOf(tag.name, context.tagNumbers));
      return [name, new WaveformChannel({ name, rules: waveformRules(config), tags, context })];
    }),
  );
}

function sharePrefix({ sharedGroup }: MqttSourceConfig): string {
  return sharedGroup === undefined ? '' : `$share/${sharedGroup}/`;
}
