import type { TagNumber } from '../../domain/sample/tag.ts';
import type { ExpectedMetrics, MetricTag } from './metric-router.ts';

/** A metric of the last birth that has tags. */
export type BornMetric = {
  readonly name: string;
  readonly alias: number | undefined;
  /** Undefined for the edge node itself. */
  readonly device: string | undefined;
  readonly dataType: number | undefined;
  readonly tags: readonly MetricTag[];
};

/** Metrics that are named in a message; the others are counted. */
const NAMED_MAX = 3;

type EdgeNodeState = 'not-born' | 'alive' | 'lost' | 'dead';

/** Relation of a message to the one before it. */
export type Continuity = 'next' | 'repeat' | 'gap' | 'not-born';

/**
 * The session of one edge node, from its birth to its death.
 *
 * Values are valid only if every message since the birth was received: a metric is sent only when it changes, and the
 * birth defines the aliases. After a gap in the sequence no value is valid until the next birth.
 *
 * @see Sparkplug 3.0, sections 5.4 (births and deaths) and 6.4.10 (sequence numbers).
 */
export class EdgeNode {
  readonly group: string;
  readonly id: string;
  /** Monotonic time of the last request for a rebirth. */
  rebirthRequestedMs = -Infinity;
  readonly #byAlias = new Map<number, BornMetric>();
  readonly #byName = new Map<string, BornMetric>();
  readonly #expected: ExpectedMetrics;
  readonly #deadDevices = new Set<string | undefined>();
  /** Expected metrics that the birth of a device did not contain, by device. */
  readonly #missing = new Map<string | undefined, readonly string[]>();
  #state: EdgeNodeState = 'not-born';
  #sequence = 0;
  #bdSeq: number | undefined;

  constructor(group: string, id: string, expected: ExpectedMetrics) {
    this.group = group;
    this.id = id;
    this.#expected = expected;
  }

  get isAlive(): boolean {
    return this.#state === 'alive';
  }

  /** Text for the operator; undefined if there is no fault. */
  get trouble(): string | undefined {
    const name = `${this.group}/${this.id}`;
    switch (this.#state) {
      case 'not-born':
        return `edge node ${name} has not sent a birth since andon subscribed`;
      case 'lost':
        return `messages of edge node ${name} were lost; its tags are bad until its next birth`;
      case 'dead':
        return `edge node ${name} is dead`;
      case 'alive':
        return this.#deviceTrouble();
    }
  }

  #deviceTrouble(): string | undefined {
    const texts = [
      ...[...this.#deadDevices].map((device) => `device ${this.group}/${this.id}/${device} is dead`),
      ...[...this.#expected.keys()].flatMap((device) => this.#absence(device)),
    ];
    return texts.length === 0 ? undefined : texts.join('; ');
  }

  #absence(device: string | undefined): readonly string[] {
    if (this.#deadDevices.has(device)) return [];
    const name =
      device === undefined ? `edge node ${this.group}/${this.id}` : `device ${this.group}/${this.id}/${device}`;
    const missing = this.#missing.get(device);
    if (missing === undefined) return [`${name} has not sent a birth`];
    if (missing.length === 0) return [];
    const more = missing.length > NAMED_MAX ? ` and ${missing.length - NAMED_MAX} more` : '';
    return [`the birth of ${name} has no numeric metric ${missing.slice(0, NAMED_MAX).join(', ')}${more}`];
  }

  /**
   * Starts a session at the birth of the edge node.
   *
   * @returns The tags of the session before, which lost their value.
   */
  begin(sequence: number, bdSeq: number | undefined, metrics: readonly BornMetric[]): readonly TagNumber[] {
    const tags = this.#reset('alive');
    this.#sequence = sequence;
    this.#bdSeq = bdSeq;
    this.#learn(undefined, metrics);
    return tags;
  }

  /** Checks the sequence number of a message other than NBIRTH and NDEATH. */
  follow(sequence: number | undefined): Continuity {
    if (this.#state !== 'alive') return 'not-born';
    // A broker may deliver a message once for each matching subscription.
    if (sequence === this.#sequence) return 'repeat';
    if (sequence !== (this.#sequence + 1) % 256) return 'gap';
    this.#sequence = sequence;
    return 'next';
  }

  /**
   * Replaces the metrics of a device at its birth.
   *
   * @returns The tags of the birth before, which lost their value.
   */
  beginDevice(device: string | undefined, metrics: readonly BornMetric[]): readonly TagNumber[] {
    const tags = this.#forgetDevice(device);
    this.#deadDevices.delete(device);
    this.#learn(device, metrics);
    return tags;
  }

  #learn(device: string | undefined, metrics: readonly BornMetric[]): void {
    for (const metric of metrics) {
      this.#byName.set(nameKey(device, metric.name), metric);
      if (metric.alias !== undefined) this.#byAlias.set(metric.alias, metric);
    }
    const expected = this.#expected.get(device);
    const missing = expected?.filter((metric) => !this.#byName.has(nameKey(device, metric)));
    if (missing !== undefined) this.#missing.set(device, missing);
  }

  /** @returns The metric of a message; undefined if it has no tags. */
  find(device: string | undefined, name: string | undefined, alias: number | undefined): BornMetric | undefined {
    const found = alias === undefined ? undefined : this.#byAlias.get(alias);
    if (found !== undefined) return found.device === device ? found : undefined;
    return name === undefined ? undefined : this.#byName.get(nameKey(device, name));
  }

  /** True if a death belongs to this session, and is not the delayed will of an earlier one. */
  isOwnDeath(bdSeq: number | undefined): boolean {
    return bdSeq === undefined || this.#bdSeq === undefined || bdSeq === this.#bdSeq;
  }

  /** @returns The tags that lost their value. */
  end(state: 'not-born' | 'lost' | 'dead'): readonly TagNumber[] {
    return this.#reset(state);
  }

  /** @returns The tags that lost their value. */
  endDevice(device: string | undefined): readonly TagNumber[] {
    const tags = this.#forgetDevice(device);
    // Devices without tags are not reported.
    if (tags.length > 0 || this.#expected.has(device)) this.#deadDevices.add(device);
    return tags;
  }

  #reset(state: EdgeNodeState): readonly TagNumber[] {
    const tags = tagsOf([...this.#byName.values()]);
    this.#state = state;
    this.#deadDevices.clear();
    this.#byAlias.clear();
    this.#byName.clear();
    this.#missing.clear();
    return tags;
  }

  #forgetDevice(device: string | undefined): readonly TagNumber[] {
    const tags = tagsOf([...this.#byName.values()].filter((metric) => metric.device === device));
    this.#missing.delete(device);
    for (const [alias, metric] of this.#byAlias) if (metric.device === device) this.#byAlias.delete(alias);
    for (const [name, metric] of this.#byName) if (metric.device === device) this.#byName.delete(name);
    return tags;
  }
}

function tagsOf(metrics: readonly BornMetric[]): readonly TagNumber[] {
  return metrics.flatMap(({ tags }) => tags.map(({ tag }) => tag));
}

/** A device id contains no slash. */
function nameKey(device: string | undefined, name: string): string {
  return `${device ?? ''}/${name}`;
}
