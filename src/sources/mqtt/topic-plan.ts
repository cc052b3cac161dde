import { SampleBatch } from '../../domain/sample/sample-batch.ts';
import type { TagNumber } from '../../domain/sample/tag.ts';
import { formatJsonPath, type JsonPath, parseJsonPath } from './json-path.ts';
import type { MqttReading } from './mqtt-source-config.ts';

/** How one tag is read from a message, or from an element of its list of samples. */
export type TagPlan = {
  readonly name: string;
  readonly tag: TagNumber;
  /** Undefined: the payload is the value. */
  readonly value: JsonPath | undefined;
  /** Undefined: the time of arrival. */
  readonly time: JsonPath | undefined;
  /** Undefined: the payload has no quality. */
  readonly quality: JsonPath | undefined;
  readonly scale: number;
  readonly offset: number;
};

/** Tags with one sample for each message, or for each element of the same list. */
export type PartPlan = {
  /** Path of the list of samples; undefined: the message is one sample. */
  readonly samples: JsonPath | undefined;
  readonly tags: readonly TagPlan[];
  /** Reused for each sample. */
  readonly batch: SampleBatch;
};

/** Decoding plan for the messages of a topic. */
export type TopicPlan = {
  readonly topic: string;
  readonly parts: readonly PartPlan[];
  /** True if a tag needs the payload as JSON. */
  readonly json: boolean;
};

/** A tag of a topic, before its paths are compiled. */
export type TopicTag = { readonly name: string; readonly tag: TagNumber; readonly reading: MqttReading };

/** @param tags At least one. */
export function planTopic(topic: string, tags: readonly TopicTag[]): TopicPlan {
  const plans = tags.map(planTag);
  const bySamples = Map.groupBy(plans, ({ samples }) => (samples === undefined ? '' : formatJsonPath(samples)));
  const parts = [...bySamples.values()].map((members) => ({
    samples: members[0]?.samples,
    tags: members.map(({ tag }) => tag),
    batch: new SampleBatch(members.length),
  }));
  const json = parts.some(
    ({ samples, tags: members }) =>
      samples !== undefined || members.some(({ value, time }) => value !== undefined || time !== undefined),
  );
  return { topic, parts, json };
}

function planTag({ name, tag, reading }: TopicTag): { readonly samples: JsonPath | undefined; readonly tag: TagPlan } {
  const isUns = reading.format === 'uns';
  const path = (own: string | undefined, uns: string) => compile(own ?? (isUns ? uns : undefined));
  return {
    samples: compile(reading.samples),
    tag: {
      name,
      tag,
      value: path(reading.value, '$.value'),
      time: path(reading.time, '$.timestamp_ms'),
      quality: path(reading.quality, '$.quality'),
      scale: reading.scale,
      offset: reading.offset,
    },
  };
}

function compile(path: string | undefined): JsonPath | undefined {
  return path === undefined ? undefined : parseJsonPath(path);
}
