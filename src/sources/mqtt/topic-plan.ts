import { SampleBatch } from '../../domain/sample/sample-batch.ts';
import type { TagNumber } from '../../domain/sample/tag.ts';
import type { JsonPath } from './json-path.ts';
import { formatJsonPath, parseJsonPath } from './json-path.ts';
import type { MqttReading } from './mqtt-source-config.ts';

/** How one tag is read out of a message, or out of one element of its list of samples. */
export type TagPlan = {
  readonly name: string;
  readonly tag: TagNumber;
  /** undefined: the payload is the value. */
  readonly value: JsonPath | undefined;
  /** undefined: the time of arrival. */
  readonly time: JsonPath | undefined;
  /** undefined: the sender says nothing about its quality. */
  readonly quality: JsonPath | undefined;
  readonly scale: number;
  readonly offset: number;
};

/** Tags whose samples come together: one each a message, or one each for every element of a list. */
export type PartPlan = {
  /** Where the list of samples is; undefined: the message is one sample. */
  readonly samples: JsonPath | undefined;
  readonly tags: readonly TagPlan[];
  /** Filled anew for each sample. */
  readonly batch: SampleBatch;
};

/** Everything that one message on a topic brings. */
export type TopicPlan = {
  readonly topic: string;
  readonly parts: readonly PartPlan[];
  /** Whether any tag needs the payload as JSON. */
  readonly json: boolean;
};

/** A tag that a topic carries, before its paths are compiled. */
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
