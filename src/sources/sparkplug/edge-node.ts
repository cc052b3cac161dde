import type { TagNumber } from '../../domain/sample/tag.ts';
import type { ExpectedMetrics, MetricTag } from './metric-router.ts';

/** A metric of the last birth that carries tags. */
export type BornMetric = {
  readonly device: string;
  readonly dataType: number | undefined;
  readonly tags: readonly MetricTag[];
};

/** Metrics that are named in a sentence; the others are a number. */
const NAMED_MAX = 3;

/** How a message stands to the ones before it. */
export type Continuity = 'next' | 'repeat' | 'gap' | 'not-born';

/**
 * The session of one edge node, from its birth to its death.
 *
 * Values count only while every message since the birth was seen: a metric is reported only when it changes, and an
 * alias means what the last birth said. So a gap in the sequence leaves nothing to trust until the next birth.
 *
 * @see Sparkplug 3.0, sections 5.4 (births and deaths) and 6.4.10 (sequence numbers).
 */
export class EdgeNode {
  readonly group: string;
  readonly id: string;
  /** Monotonic time of the last request for a rebirth. */
  rebirthAskedMs = -Infinity;
  readonly #byAlias = new Map<number, BornMetric>();
  readonly #byName = new Map<string, BornMetric>();
  readonly #expected: ExpectedMetrics;
  readonly #deadDevices = new Set<string>();
  /** By device that was born and of which something is expected: the metrics that its birth lacks. */
  readonly #missing = new Map<string, readonly string[]>();
  #state: 'not-born' | 'alive' | 'lost' | 'dead' = 'not-born';
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

  /** What an operator should know; '' where all is well. */
  get trouble(): string {
    const name = `${this.group}/${this.id}`;
    switch (this.#state) {
      case 'not-born':
        return `edge node ${name} has not said its birth since we listen`;
      case 'lost':
        return `messages of edge node ${name} were lost, its values wait for its next birth`;
      case 'dead':
        return `edge node ${name} is dead`;
      case 'alive':
        return [
          ...[...this.#deadDevices].map((device) => `device ${name}/${device} is dead`),
          ...[...this.#expected.keys()].flatMap((device) => this.#absence(device)),
        ].join('; ');
    }
  }

  #absence(device: string): readonly string[] {
    if (this.#deadDevices.has(device)) return [];
    const name = device === '' ? `edge node ${this.group}/${this.id}` : `device ${this.group}/${this.id}/${device}`;
    const missing = this.#missing.get(device);
    if (missing === undefined) return [`${name} has not said its birth`];
    if (missing.length === 0) return [];
    const more = missing.length > NAMED_MAX ? ` and ${missing.length - NAMED_MAX} more` : '';
    return [`the birth of ${name} has no number ${missing.slice(0, NAMED_MAX).join(', ')}${more}`];
  }

  /** The birth of the edge node: everything before it is forgotten, its devices too. */
  begin(sequence: number, bdSeq: number | undefined): void {
    this.#forget();
    this.#deadDevices.clear();
    this.#state = 'alive';
    this.#sequence = sequence;
    this.#bdSeq = bdSeq;
  }

  /** Takes the sequence number of a message other than a birth or death of the edge node itself. */
  follow(sequence: number | undefined): Continuity {
    if (this.#state !== 'alive') return 'not-born';
    // A broker may deliver a message once for each subscription that fits.
    if (sequence === this.#sequence) return 'repeat';
    if (sequence !== (this.#sequence + 1) % 256) return 'gap';
    this.#sequence = sequence;
    return 'next';
  }

  /** A device's birth replaces what it said before. */
  beginDevice(device: string): void {
    this.#deadDevices.delete(device);
    this.#forgetDevice(device);
  }

  /** @param name At least one of name and alias is given. */
  learn(name: string, alias: number | undefined, metric: BornMetric): void {
    this.#byName.set(`${metric.device}/${name}`, metric);
    if (alias !== undefined) this.#byAlias.set(alias, metric);
  }

  /** To be called when everything that a birth says was learnt. */
  endBirth(device: string): void {
    const expected = this.#expected.get(device);
    const missing = expected?.filter((metric) => !this.#byName.has(`${device}/${metric}`));
    if (missing !== undefined) this.#missing.set(device, missing);
  }

  /** The metric that a message means, where it carries tags. */
  find(device: string, name: string | undefined, alias: number | undefined): BornMetric | undefined {
    const found = alias === undefined ? undefined : this.#byAlias.get(alias);
    if (found !== undefined) return found.device === device ? found : undefined;
    return name === undefined || name === '' ? undefined : this.#byName.get(`${device}/${name}`);
  }

  /** Whether a death is of this session, and not the late will of an earlier one. */
  isOwnDeath(bdSeq: number | undefined): boolean {
    return bdSeq === undefined || this.#bdSeq === undefined || bdSeq === this.#bdSeq;
  }

  /** @returns The tags that have no value now. */
  end(state: 'not-born' | 'lost' | 'dead'): readonly TagNumber[] {
    const tags = this.tags();
    this.#state = state;
    this.#deadDevices.clear();
    this.#forget();
    return tags;
  }

  /** @returns The tags that have no value now. */
  endDevice(device: string): readonly TagNumber[] {
    const tags = this.tags(device);
    // Edge nodes have devices that nobody reads.
    if (tags.length > 0 || this.#expected.has(device)) this.#deadDevices.add(device);
    this.#forgetDevice(device);
    return tags;
  }

  /** Tags of what was born, of one device or of all. */
  tags(device?: string): readonly TagNumber[] {
    const metrics = [...this.#byName.values()].filter((metric) => device === undefined || metric.device === device);
    return metrics.flatMap(({ tags }) => tags.map(({ tag }) => tag));
  }

  #forget(): void {
    this.#byAlias.clear();
    this.#byName.clear();
    this.#missing.clear();
  }

  #forgetDevice(device: string): void {
    this.#missing.delete(device);
    for (const [alias, metric] of this.#byAlias) if (metric.device === device) this.#byAlias.delete(alias);
    for (const [name, metric] of this.#byName) if (metric.device === device) this.#byName.delete(name);
  }
}
