import { SampleBatch } from '../../domain/sample-batch.ts';
import type { TagNumber } from '../../domain/tag.ts';
import { invariant } from '../../platform/errors.ts';
import type { JsonPath } from './json-path.ts';
import { parseJsonPath } from './json-path.ts';
import type { MqttSourceConfig } from './mqtt-source-config.ts';

/** How one tag is read out of a message. */
export type TagPlan = {
  readonly name: string;
  readonly tag: TagNumber;
  /** undefined: the payload is the value. */
  readonly value: JsonPath | undefined;
  /** undefined: the time of arrival. */
  readonly time: JsonPath | undefined;
  readonly scale: number;
  readonly offset: number;
};

/** Everything that one message on a topic brings. */
export type TopicPlan = {
  readonly topic: string;
  /** The highest that one of its tags asks for. */
  readonly qos: 0 | 1;
  readonly tags: readonly TagPlan[];
  /** Whether any tag needs the payload as JSON. */
  readonly json: boolean;
  /** Filled anew for each message. */
  readonly batch: SampleBatch;
};

/** Sorts the tags by topic and compiles their paths, once. */
export function planTopics(
  config: MqttSourceConfig,
  tagNumbers: ReadonlyMap<string, TagNumber>,
): ReadonlyMap<string, TopicPlan> {
  const byTopic = Map.groupBy(Object.entries(config.tags), ([, { topic }]) => topic);
  return new Map(
    [...byTopic].map(([topic, entries]) => {
      const tags = entries.map(([name, tag]) => planTag(name, tag, tagNumbers));
      const plan: TopicPlan = {
        topic,
        qos: entries.some(([, { qos }]) => qos === 1) ? 1 : 0,
        tags,
        json: tags.some(({ value, time }) => value !== undefined || time !== undefined),
        batch: new SampleBatch(tags.length),
      };
      return [topic, plan];
    }),
  );
}

function planTag(
  name: string,
  { value, time, scale, offset }: MqttSourceConfig['tags'][string],
  tagNumbers: ReadonlyMap<string, TagNumber>,
): TagPlan {
  const tag = tagNumbers.get(name);
  invariant(tag !== undefined, `The tag ${name} has no number`);
  return { name, tag, value: compile(value), time: compile(time), scale, offset };
}

function compile(path: string | undefined): JsonPath | undefined {
  return path === undefined ? undefined : parseJsonPath(path);
}
