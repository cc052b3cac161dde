import { SampleBatch } from '../../domain/sample/sample-batch.ts';
import type { TagNumber } from '../../domain/sample/tag.ts';
import { invariant } from '../../platform/errors.ts';
import { type GuessedCodes, qualityCodesOf } from '../quality-code.ts';
import { type ValueMap, valueMapOf } from '../text-value.ts';
import type { WaveformChannel } from '../waveform-channel.ts';
import { compileValuePath, type ValuePath } from './json-path.ts';
import type { MqttReading } from './mqtt-source-config.ts';
import type { TimeFormat } from './payload-time.ts';

/** How one tag is read from a message, or from an element of its list of samples. */
export type TagPlan = {
  readonly name: string;
  readonly tag: TagNumber;
  /** Undefined: the payload is the value. */
  readonly value: ValuePath | undefined;
  /** Undefined: the time of arrival. */
  readonly time: ValuePath | undefined;
  /** Undefined: the payload has no quality. */
  readonly quality: ValuePath | undefined;
  /** Meaning of small numbers of the quality. */
  readonly qualityCodes: GuessedCodes;
  readonly timeFormat: TimeFormat;
  readonly map: ValueMap | undefined;
  /** What a missing value means: the tag keeps its value, or it is bad. */
  readonly missing: 'keep' | 'bad';
  readonly scale: number;
  readonly offset: number;
};

/** Tags with one sample for each message, or for each element of the same list. */
export type PartPlan = {
  /** Path of the list of samples; undefined: the message is one sample. */
  readonly samples: ValuePath | undefined;
  readonly tags: readonly TagPlan[];
  /** Reused for each sample. */
  readonly batch: SampleBatch;
  /** Tags that have had a value. */
  readonly received: Set<TagNumber>;
};

/** How a waveform is read from a message. */
export type WaveformPlan = { readonly channel: WaveformChannel; readonly reading: Omit<TagPlan, 'tag'> };

/** Decoding plan for the messages of a topic. */
export type TopicPlan = {
  readonly topic: string;
  readonly parts: readonly PartPlan[];
  readonly waveforms: readonly WaveformPlan[];
  /** True if a tag needs the payload as JSON. */
  readonly json: boolean;
};

/** A tag of a topic, before its paths are compiled. */
export type TopicTag = { readonly name: string; readonly tag: TagNumber; readonly reading: MqttReading };

/** A waveform of a topic, before its paths are compiled. */
export type TopicWaveform = { readonly channel: WaveformChannel; readonly reading: MqttReading };

/** @param tags Together with the waveforms at least one. */
export function planTopic(
  topic: string,
  tags: readonly TopicTag[],
  waveforms: readonly TopicWaveform[] = [],
): TopicPlan {
  const plans = tags.map(planTag);
  const bySamples = Map.groupBy(plans, ({ samples }) => samples?.text ?? '');
  const parts = [...bySamples.values()].map((members) => ({
    samples: members[0]?.samples,
    tags: members.map(({ tag }) => tag),
    batch: new SampleBatch(members.length),
    received: new Set<TagNumber>(),
  }));
  const json =
    waveforms.length > 0 ||
    parts.some(
      ({ samples, tags: members }) =>
        samples !== undefined || members.some(({ value, time }) => value !== undefined || time !== undefined),
    );
  const read = waveforms.map(({ channel, reading }) => ({ channel, reading: planReading(channel.name, reading) }));
  return { topic, parts, waveforms: read, json };
}

function planTag({ name, tag, reading }: TopicTag): { readonly samples: ValuePath | undefined; readonly tag: TagPlan } {
  return { samples: compile(reading.samples), tag: { ...planReading(name, reading), tag } };
}

function planReading(name: string, reading: MqttReading): Omit<TagPlan, 'tag'> {
  const isUns = reading.format === 'uns';
  const path = (own: string | undefined, uns: string) => compile(own ?? (isUns ? uns : undefined));
  const quality = path(reading.quality, '$.quality');
  return {
    name,
    value: path(reading.value, '$.value'),
    time: path(reading.time, '$.timestamp_ms'),
    quality,
    qualityCodes: reading.qualityCodes ?? qualityCodesOf(quality?.text ?? ''),
    timeFormat: { unit: reading.timeUnit, zone: reading.timeZone },
    map: valueMapOf(reading.map),
    missing: reading.missing,
    scale: reading.scale,
    offset: reading.offset,
  };
}

function compile(text: string | undefined): ValuePath | undefined {
  const path = text === undefined ? undefined : compileValuePath(text);
  invariant(typeof path !== 'string', `The schema accepts no invalid path, and ${text} is one`);
  return path;
}
