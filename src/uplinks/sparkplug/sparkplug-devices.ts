import type { TagReading } from '../../contracts/live-events.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { QualityReason } from '../../domain/sample/quality.ts';
import { dataTypes, type SparkplugMetricDraft } from '../../protocols/sparkplug/sparkplug-payload.ts';

/** A message of a device, without its sequence number. */
export type DeviceMessage = {
  readonly type: 'DBIRTH' | 'DDATA' | 'DDEATH';
  readonly device: string;
  readonly metrics: readonly SparkplugMetricDraft[];
};

/** A tag as the hosts have it. */
type Published = {
  readonly device: string;
  readonly name: string;
  readonly alias: number;
  value: number | undefined;
  quality: number;
  timestampMs: EpochMs;
  /** True if the tag cannot be read because its device or the line to it is down. */
  isCutOff: boolean;
};

/** Device of the tags whose names have no point. */
const PLAIN_DEVICE = 'tags';
/** The codes of the specification. It has none for uncertain values, which a host must not take for good ones. */
const GOOD = 192;
const BAD = 0;
/** Reasons of a source that does not reach its device. */
const cutOffReasons: ReadonlySet<QualityReason> = new Set([
  'timeout',
  'link-down',
  'unit-set-aside',
  'source-stopped',
  'device-offline',
]);

/**
 * Tags as metrics of Sparkplug devices: 'pump-1.pressure' is the metric 'pressure' of the device 'pump-1'.
 *
 * Births give each metric an alias, unique within the edge node. Data has the alias only, and only what changed. A device is dead while
 * none of its tags can be read.
 */
export class SparkplugDevices {
  readonly #chosen: ReadonlySet<string> | boolean;
  #published = new Map<string, Published>();
  /** The tags of each device. */
  #members = new Map<string, readonly Published[]>();
  #alive = new Set<string>();

  /** @param tags True for all tags. */
  constructor(tags: boolean | readonly string[]) {
    this.#chosen = typeof tags === 'boolean' ? tags : new Set(tags);
  }

  /** Returns the births of all devices that can be read, with their current values, and the devices that can no longer be read or have no tags any more. */
  born(readings: readonly TagReading[]): {
    readonly births: readonly DeviceMessage[];
    readonly deaths: readonly DeviceMessage[];
  } {
    const chosen = readings.filter(({ tag }) => this.has(tag));
    this.#published = new Map(chosen.map((reading, index) => [reading.tag, publishedAs(reading, index + 1)]));
    this.#members = Map.groupBy(this.#published.values(), ({ device }) => device);
    const before = this.#alive;
    this.#alive = new Set([...this.#members.keys()].filter((device) => !this.#isCutOff(device)));
    return {
      births: [...this.#alive].map((device) => this.#birth(device)),
      deaths: [...before].filter((device) => !this.#alive.has(device)).map(death),
    };
  }

  /** Returns the messages of the devices with changed tags; 'unknown-tag' if one is in no birth. */
  changed(readings: readonly TagReading[]): readonly DeviceMessage[] | 'unknown-tag' {
    const changes: Published[] = [];
    for (const reading of readings) {
      if (!this.has(reading.tag)) continue;
      const state = this.#published.get(reading.tag);
      if (state === undefined) return 'unknown-tag';
      const content = contentOf(reading);
      state.isCutOff = content.isCutOff;
      if (content.value === state.value && content.quality === state.quality && this.#alive.has(state.device)) continue;
      Object.assign(state, content);
      changes.push(state);
    }
    const devices = new Set(readings.flatMap(({ tag }) => this.#published.get(tag)?.device ?? []));
    return [...devices].flatMap((device) => this.#messages(device, changes));
  }

  /** Returns the data of past changes. Tags that are in no birth are left out. */
  historical(readings: readonly TagReading[]): readonly DeviceMessage[] {
    const metrics = readings.flatMap((reading) => {
      const state = this.#published.get(reading.tag);
      if (state === undefined || !this.#alive.has(state.device)) return [];
      return [[state.device, { ...metricOf({ ...state, ...contentOf(reading) }), isHistorical: true }] as const];
    });
    const groups = Map.groupBy(metrics, ([device]) => device);
    return [...groups].map(([device, members]) => ({
      type: 'DDATA',
      device,
      metrics: members.map(([, metric]) => metric),
    }));
  }

  /** Returns true if the tag is published. */
  has(tag: string): boolean {
    return typeof this.#chosen === 'boolean' ? this.#chosen : this.#chosen.has(tag);
  }

  #messages(device: string, changes: readonly Published[]): readonly DeviceMessage[] {
    if (this.#isCutOff(device)) return this.#alive.delete(device) ? [death(device)] : [];
    if (!this.#alive.has(device)) {
      this.#alive.add(device);
      return [this.#birth(device)];
    }
    const metrics = changes.filter((change) => change.device === device).map(metricOf);
    return metrics.length === 0 ? [] : [{ type: 'DDATA', device, metrics }];
  }

  #birth(device: string): DeviceMessage {
    const members = this.#members.get(device) ?? [];
    return { type: 'DBIRTH', device, metrics: members.map((state) => ({ ...metricOf(state), name: state.name })) };
  }

  #isCutOff(device: string): boolean {
    return (this.#members.get(device) ?? []).every(({ isCutOff }) => isCutOff);
  }
}

function death(device: string): DeviceMessage {
  return { type: 'DDEATH', device, metrics: [] };
}

/** Two tags never have one metric: a tag of an asset 'tags' keeps its whole name, which no name without a point is. */
function publishedAs(reading: TagReading, alias: number): Published {
  const { tag } = reading;
  const point = tag.indexOf('.');
  const isPlain = point <= 0 || point === tag.length - 1;
  const device = isPlain ? PLAIN_DEVICE : tag.slice(0, point);
  const name = device === PLAIN_DEVICE ? tag : tag.slice(point + 1);
  return { device, name, alias, ...contentOf(reading) };
}

/** A bad value is null: a host cannot take it for a measured one. */
function contentOf({ value, quality, reason, timestampMs }: TagReading) {
  const isUsable = quality !== 'bad' && Number.isFinite(value);
  return {
    value: isUsable ? value : undefined,
    quality: isUsable && quality === 'good' ? GOOD : BAD,
    isCutOff: quality === 'bad' && cutOffReasons.has(reason),
    timestampMs,
  };
}

function metricOf({ alias, value, quality, timestampMs }: Published): SparkplugMetricDraft {
  return { name: undefined, alias, timestampMs, dataType: dataTypes.Double, value, quality };
}
