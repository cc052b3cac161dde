import type { TagReading } from '../../contracts/live-events.ts';
import { dataTypes, type SparkplugMetricDraft } from '../../protocols/sparkplug/sparkplug-payload.ts';

/** Metrics of one message of a device. */
export type DeviceMetrics = { readonly device: string; readonly metrics: readonly SparkplugMetricDraft[] };

/** A tag as the hosts have it. */
type Published = {
  readonly device: string;
  readonly name: string;
  readonly alias: number;
  value: number | undefined;
  quality: number;
};

/** Device of the tags whose names have no point. */
const PLAIN_DEVICE = 'tags';
/** The codes of the specification. It has none for uncertain values, which a host must not take for good ones. */
const GOOD = 192;
const BAD = 0;

/**
 * Tags as metrics of Sparkplug devices: 'pump-1.pressure' is the metric 'pressure' of the device 'pump-1'.
 *
 * Births give each metric an alias, unique within the edge node. Data has the alias only, and only what changed.
 */
export class SparkplugDevices {
  readonly #chosen: ReadonlySet<string> | boolean;
  #published = new Map<string, Published>();
  #devices: ReadonlySet<string> = new Set();

  /** @param tags True for all tags. */
  constructor(tags: boolean | readonly string[]) {
    this.#chosen = typeof tags === 'boolean' ? tags : new Set(tags);
  }

  /** Returns the births of all devices with their current values, and devices that have no tags any more. */
  born(readings: readonly TagReading[]): {
    readonly births: readonly DeviceMetrics[];
    readonly deaths: readonly string[];
  } {
    const chosen = readings.filter(({ tag }) => this.#has(tag));
    const published = chosen.map((reading, index) => [reading, publishedAs(reading, index + 1)] as const);
    this.#published = new Map(published.map(([{ tag }, state]) => [tag, state]));
    const births = byDevice(
      published.map(([{ timestampMs }, state]) => [
        state.device,
        { ...metricOf(state, timestampMs), name: state.name },
      ]),
    );
    const devices = new Set(births.map(({ device }) => device));
    const deaths = [...this.#devices].filter((device) => !devices.has(device));
    this.#devices = devices;
    return { births, deaths };
  }

  /** Returns the data of the devices with changed tags; 'unknown-tag' if one is in no birth. */
  changed(readings: readonly TagReading[]): readonly DeviceMetrics[] | 'unknown-tag' {
    const changes: (readonly [string, SparkplugMetricDraft])[] = [];
    for (const reading of readings) {
      if (!this.#has(reading.tag)) continue;
      const state = this.#published.get(reading.tag);
      if (state === undefined) return 'unknown-tag';
      const { value, quality } = contentOf(reading);
      if (value === state.value && quality === state.quality) continue;
      state.value = value;
      state.quality = quality;
      changes.push([state.device, metricOf(state, reading.timestampMs)]);
    }
    return byDevice(changes);
  }

  #has(tag: string): boolean {
    return typeof this.#chosen === 'boolean' ? this.#chosen : this.#chosen.has(tag);
  }
}

function publishedAs(reading: TagReading, alias: number): Published {
  const point = reading.tag.indexOf('.');
  const isPlain = point <= 0 || point === reading.tag.length - 1;
  return {
    // A device is a level of a topic.
    device: isPlain ? PLAIN_DEVICE : reading.tag.slice(0, point).replaceAll(/[+#/]/g, '_'),
    name: isPlain ? reading.tag : reading.tag.slice(point + 1),
    alias,
    ...contentOf(reading),
  };
}

/** A bad value is null: a host cannot take it for a measured one. */
function contentOf({ value, quality }: TagReading): { readonly value: number | undefined; readonly quality: number } {
  const isUsable = quality !== 'bad' && Number.isFinite(value);
  return { value: isUsable ? value : undefined, quality: isUsable && quality === 'good' ? GOOD : BAD };
}

function metricOf({ alias, value, quality }: Published, timestampMs: number): SparkplugMetricDraft {
  return { name: undefined, alias, timestampMs, dataType: dataTypes.Double, value, quality };
}

function byDevice(
  metrics: readonly (readonly [device: string, metric: SparkplugMetricDraft])[],
): readonly DeviceMetrics[] {
  const groups = Map.groupBy(metrics, ([device]) => device);
  return [...groups].map(([device, members]) => ({ device, metrics: members.map(([, metric]) => metric) }));
}
