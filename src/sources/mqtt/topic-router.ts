import { PatternTags, tagNumberOf } from '../source-tags.ts';
import type { SourceContext, TagRefusal } from '../../contracts/source.ts';
import type { TagNumber } from '../../domain/sample/tag.ts';
import { fillTagTemplate, parseTagTemplate, type TagTemplate } from '../../domain/sample/tag-template.ts';
import { invariant } from '../../platform/errors.ts';
import type { WaveformChannel } from '../waveform-channel.ts';
import type { MqttReading, MqttSourceConfig } from './mqtt-source-config.ts';
import { matchTopicPattern, parseTopicPattern, topicFilterOf, type TopicPattern } from './topic-pattern.ts';
import { planTopic, type TopicPlan, type TopicTag, type TopicWaveform } from './topic-plan.ts';

type CompiledPattern = {
  readonly id: string;
  readonly topic: TopicPattern;
  readonly template: TagTemplate;
  readonly filter: string;
  readonly reading: MqttReading & { readonly maxTags: number };
  readonly bound: Set<TagNumber>;
};

/** A topic that matches a pattern and creates no tag. */
export type RefusedTopic = { readonly pattern: string; readonly reason: TagRefusal; readonly text: string };

export type TopicSubscription = { readonly filter: string; readonly qos: 0 | 1 };

/**
 * Finds the tags of a topic. Topics of tags are known from the start. A topic that matches a pattern is bound to its
 * tags by its first message, permanently, up to `maxTags` for each pattern. No state is kept for further topics.
 */
export class TopicRouter {
  readonly #plans = new Map<string, TopicPlan>();
  readonly #patterns: readonly CompiledPattern[];
  readonly #fixed: readonly {
    readonly topic: string;
    readonly qos: 0 | 1;
    readonly tags: readonly TopicTag[];
    readonly waveforms: readonly TopicWaveform[];
  }[];
  readonly #patternTags: PatternTags;

  /** @param channels Channels of the waveforms, by name. */
  constructor(
    { config, tagNumbers, bindTag }: Pick<SourceContext<MqttSourceConfig>, 'config' | 'tagNumbers' | 'bindTag'>,
    channels: ReadonlyMap<string, WaveformChannel> = new Map(),
  ) {
    this.#patternTags = new PatternTags(bindTag);
    const byTopic = Map.groupBy(Object.entries(config.tags), ([, { topic }]) => topic);
    this.#fixed = [...byTopic].map(([topic, entries]) => ({
      topic,
      qos: entries.some(([, { qos }]) => qos === 1) ? 1 : 0,
      tags: entries
        .filter(([, { type }]) => type === 'number')
        .map(([name, reading]) => ({ name, tag: tagNumberOf(name, tagNumbers), reading })),
      waveforms: entries.flatMap(([name, reading]) => {
        const channel = channels.get(name);
        return channel === undefined ? [] : [{ channel, reading }];
      }),
    }));
    for (const { topic, tags, waveforms } of this.#fixed) this.#plans.set(topic, planTopic(topic, tags, waveforms));
    this.#patterns = Object.entries(config.patterns).map(compilePattern);
  }

  /** Filters of the subscriptions, without duplicates. */
  subscriptions(): readonly TopicSubscription[] {
    const byFilter = new Map<string, 0 | 1>();
    for (const { topic, qos } of this.#fixed) byFilter.set(topic, qos);
    for (const { filter, reading } of this.#patterns)
      byFilter.set(filter, reading.qos === 1 ? 1 : (byFilter.get(filter) ?? 0));
    return [...byFilter].map(([filter, qos]) => ({ filter, qos }));
  }

  /**
   * @param onRefused Called for each pattern that matches the topic and cannot create a tag.
   * @returns Undefined if the topic has no tag.
   */
  find(topic: string, onRefused: (refused: RefusedTopic) => void): TopicPlan | undefined {
    const known = this.#plans.get(topic);
    if (known !== undefined) return known;
    const levels = topic.split('/');
    const tags = this.#patterns.flatMap((pattern): readonly TopicTag[] => {
      const values = matchTopicPattern(pattern.topic, levels);
      if (values === undefined) return [];
      const name = fillTagTemplate(pattern.template, values);
      const tag = this.#patternTags.bind(pattern.id, name, topic);
      if (typeof tag === 'number') {
        pattern.bound.add(tag);
        return [{ name, tag, reading: pattern.reading }];
      }
      onRefused({ pattern: pattern.id, reason: tag, text: refusalText(pattern, tag, name, topic) });
      return [];
    });
    if (tags.length === 0) return undefined;
    const plan = planTopic(topic, tags);
    this.#plans.set(topic, plan);
    return plan;
  }

  /** Tags of the topics of a subscription, without those of waveforms. */
  tagsOf(filter: string): readonly TagNumber[] {
    const fixed = this.#fixed.filter(({ topic }) => topic === filter).flatMap(({ tags }) => tags.map(({ tag }) => tag));
    const made = this.#patterns.filter((pattern) => pattern.filter === filter).flatMap(({ bound }) => [...bound]);
    return [...fixed, ...made];
  }

  /** Channels of the waveforms of a subscription. */
  channelsOf(filter: string): readonly WaveformChannel[] {
    const fixed = this.#fixed.filter(({ topic }) => topic === filter);
    return fixed.flatMap(({ waveforms }) => waveforms.map(({ channel }) => channel));
  }

  /** All tags that are bound to a topic, without those of waveforms. */
  tags(): readonly TagNumber[] {
    const fixed = this.#fixed.flatMap(({ tags }) => tags.map(({ tag }) => tag));
    return [...fixed, ...this.#patterns.flatMap(({ bound }) => [...bound])];
  }

  /** Number of tags that each pattern has created. */
  made(): readonly { readonly pattern: string; readonly tags: number }[] {
    return this.#patterns.map(({ id, bound }) => ({ pattern: id, tags: bound.size }));
  }
}

function compilePattern([id, reading]: readonly [string, MqttSourceConfig['patterns'][string]]): CompiledPattern {
  const topic = parseTopicPattern(reading.topic);
  const template = parseTagTemplate(reading.tag);
  invariant(
    topic !== undefined && template !== undefined,
    `The schema lets no wrong pattern through, and ${id} is one`,
  );
  return { id, topic, template, filter: topicFilterOf(topic), reading, bound: new Set() };
}

function refusalText({ id, reading }: CompiledPattern, reason: TagRefusal, name: string, topic: string): string {
  switch (reason) {
    case 'too-many':
      return `pattern ${id} has made ${reading.maxTags} tags, its maxTags; ${topic} is left out`;
    case 'name-taken':
      return `pattern ${id}: another topic has the tag ${name} already; ${topic} is left out`;
    case 'name-unfit':
      return `pattern ${id}: ${name} can't be the name of a tag; ${topic} is left out`;
  }
}
