import { nameSome } from '../../domain/name-list.ts';
import type { TagNumber } from '../../domain/sample/tag.ts';
import type { Birth, BornMetric } from './birth.ts';
import type { ExpectedMetrics } from './metric-router.ts';

/** Metrics that are named in a message; the others are counted. */
const NAMED_MAX = 3;

/** What is valid since a birth. */
type LastBirth = Pick<Birth, 'aliases' | 'ambiguous'> & {
  /** Metrics that have tags. */
  readonly byName: ReadonlyMap<string, BornMetric>;
  /** Faults of the birth for the operator. */
  readonly faults: readonly string[];
};

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
  /** The last births: `undefined` is the edge node itself. Aliases count within a device: its topic names it. */
  readonly #births = new Map<string | undefined, LastBirth>();
  readonly #expected: ExpectedMetrics;
  readonly #deadDevices = new Set<string | undefined>();
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
      ...[...new Set([...this.#expected.keys(), ...this.#births.keys()])].flatMap((device) => this.#absence(device)),
    ];
    return texts.length === 0 ? undefined : texts.join('; ');
  }

  #absence(device: string | undefined): readonly string[] {
    if (this.#deadDevices.has(device)) return [];
    const birth = this.#births.get(device);
    return birth === undefined ? [`${this.#nameOf(device)} has not sent a birth`] : birth.faults;
  }

  #nameOf(device: string | undefined): string {
    return device === undefined ? `edge node ${this.group}/${this.id}` : `device ${this.group}/${this.id}/${device}`;
  }

  /**
   * Starts a session at the birth of the edge node.
   *
   * @returns The tags of the session before, which lost their value.
   */
  begin(sequence: number, bdSeq: number | undefined, birth: Birth): readonly TagNumber[] {
    const tags = this.#reset('alive');
    this.#sequence = sequence;
    this.#bdSeq = bdSeq;
    this.#births.set(undefined, this.#bornWith(undefined, birth));
    return tags;
  }

  /** Checks the sequence number of a message other than NBIRTH and NDEATH. */
  follow(sequence: number): Continuity {
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
  beginDevice(device: string | undefined, birth: Birth): readonly TagNumber[] {
    const tags = this.#forgetDevice(device);
    this.#deadDevices.delete(device);
    this.#births.set(device, this.#bornWith(device, birth));
    return tags;
  }

  #bornWith(device: string | undefined, { metrics, aliases, ambiguous, unreadable }: Birth): LastBirth {
    const byName = new Map(metrics.map((metric) => [metric.name, metric]));
    const missing = (this.#expected.get(device) ?? []).filter((metric) => !byName.has(metric));
    const shown = missing.map((metric) => {
      const kind = unreadable.get(metric);
      return kind === undefined ? metric : `${metric} (it is ${kind})`;
    });
    const name = this.#nameOf(device);
    const faults = [
      ...(missing.length > 0 ? [`the birth of ${name} has no numeric metric ${nameSome(shown, NAMED_MAX)}`] : []),
      ...(ambiguous.size > 0 ? [ambiguityText(name, ambiguous)] : []),
    ];
    return { byName, aliases, ambiguous, faults };
  }

  /** Returns the last birth of a device, or of the edge node itself. */
  lastBirth(device: string | undefined): LastBirth | undefined {
    return this.#births.get(device);
  }

  /**
   * True if a death belongs to this session, and is not the delayed will of an earlier one. Some edge nodes (pysparkplug) count
   * on before they announce their death.
   */
  isOwnDeath(bdSeq: number | undefined): boolean {
    if (bdSeq === undefined || this.#bdSeq === undefined) return true;
    return bdSeq === this.#bdSeq || bdSeq === (this.#bdSeq + 1) % 256;
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
    const tags = [...this.#births.values()].flatMap(tagsOf);
    this.#state = state;
    this.#deadDevices.clear();
    this.#births.clear();
    return tags;
  }

  #forgetDevice(device: string | undefined): readonly TagNumber[] {
    const birth = this.#births.get(device);
    this.#births.delete(device);
    return birth === undefined ? [] : tagsOf(birth);
  }
}

function ambiguityText(name: string, ambiguous: Birth['ambiguous']): string {
  const texts = [...ambiguous].map(([alias, names]) => `alias ${alias} is ${names.join(' and ')}`);
  return `the birth of ${name} uses aliases twice: ${nameSome(texts, NAMED_MAX)}. Their values are read by name only. Give each metric its own alias in the edge node`;
}

function tagsOf({ byName }: LastBirth): readonly TagNumber[] {
  return [...byName.values()].flatMap(({ tags }) => tags.map(({ tag }) => tag));
}
