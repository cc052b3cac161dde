import type { TopicReading, TopicValue } from '../../contracts/source.ts';
import { decodeSparkplug, type SparkplugPayload } from '../../protocols/sparkplug/sparkplug-payload.ts';
import { BD_SEQ, parseSparkplugTopic, type SparkplugTopic } from '../../protocols/sparkplug/sparkplug-topic.ts';
import type { TopicReader } from '../topic-browser.ts';
import { bareAliases, namedMetrics } from './birth.ts';
import { metricNumber } from './metric-number.ts';

type Device = Pick<SparkplugTopic, 'group' | 'edgeNode' | 'device'>;
type Aliases = ReadonlyMap<number, string>;

/** Messages received from an edge node or device. */
type DeviceReading = {
  readonly aliases: Map<number, string>;
  /** Data type by metric. */
  readonly types: Map<string, number>;
  readonly values: Map<string, TopicValue>;
  readonly unnamed: Set<number>;
  messages: number;
};

/** Lists edge nodes and devices with the last value of each metric that can be a tag. Never requests a birth. */
export class MetricReader implements TopicReader {
  readonly #knownAliases: (device: Device) => Aliases | undefined;
  readonly #devices = new Map<string, DeviceReading>();

  /** @param knownAliases Returns the names by alias of a birth that was received before. */
  constructor(knownAliases: (device: Device) => Aliases | undefined) {
    this.#knownAliases = knownAliases;
  }

  accept(topicText: string, bytes: Buffer): void {
    const topic = parseSparkplugTopic(topicText);
    if (topic === undefined || !/(?:BIRTH|DATA)$/.test(topic.type)) return;
    let payload: SparkplugPayload;
    try {
      payload = decodeSparkplug(bytes);
    } catch {
      // Another program on a topic of Sparkplug has no metrics to choose.
      return;
    }
    const reading = this.#readingOf(topic);
    reading.messages += 1;
    for (const { name, metric } of namedMetrics(payload.metrics, (alias) => reading.aliases.get(alias))) {
      const { alias, dataType = reading.types.get(name) } = metric;
      if (alias !== undefined) reading.aliases.set(alias, name);
      if (dataType !== undefined) reading.types.set(name, dataType);
      const { value } = metricNumber(metric.value, dataType, undefined);
      if (value !== undefined && name !== BD_SEQ) reading.values.set(name, valueOf(topic, name, value));
    }
    for (const alias of bareAliases(payload.metrics)) if (!reading.aliases.has(alias)) reading.unnamed.add(alias);
  }

  topics(): readonly TopicReading[] {
    return [...this.#devices].map(([topic, { aliases, values, unnamed, messages }]) => ({
      topic,
      messages,
      payload: undefined,
      values: [...values.values()],
      unnamed: [...unnamed].filter((alias) => !aliases.has(alias)).length,
    }));
  }

  #readingOf({ group, edgeNode, device }: SparkplugTopic): DeviceReading {
    const key = [group, edgeNode, ...(device === undefined ? [] : [device])].join('/');
    const known = this.#devices.get(key);
    if (known !== undefined) return known;
    const aliases = new Map(this.#knownAliases({ group, edgeNode, device }));
    const reading = { aliases, types: new Map(), values: new Map(), unnamed: new Set<number>(), messages: 0 };
    this.#devices.set(key, reading);
    return reading;
  }
}

function valueOf({ group, edgeNode, device }: Device, metric: string, value: number): TopicValue {
  const name = [device ?? edgeNode, ...metric.split('/')].join('.');
  return { name, value, tag: { group, edgeNode, ...(device === undefined ? {} : { device }), metric } };
}
