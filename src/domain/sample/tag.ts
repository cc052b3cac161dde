/** Position of a tag in the agent's tag table; given once at start, so that samples travel as numbers. */
export type TagNumber = number;

/** A named process value, as its source's configuration declares it. */
export type TagDefinition = {
  readonly name: string;
  /** Engineering unit, as shown to people; '' where the value has none. */
  readonly unit: string;
  /** Smallest and largest believable value in engineering units; a value outside is `uncertain`. */
  readonly range: readonly [number, number] | undefined;
  /** Smallest change in engineering units that is reported; 0 reports every change. */
  readonly deadband: number;
  /** What whole numbers are called, for people: the states of an enumeration. */
  readonly names?: Readonly<Record<string, string>> | undefined;
  /** When a value that does not move is no longer believed; undefined where a tag may stand still. */
  readonly stuck?: StuckRule | undefined;
};

/** A sensor that stays within `band` engineering units for `afterMs` is taken for stuck: `uncertain`. */
type StuckRule = { readonly afterMs: number; readonly band: number };

/**
 * Tags that a source makes of what it finds, all with the same unit, range and deadband. Their names are known only
 * once they are seen.
 */
export type TagPattern = Omit<TagDefinition, 'name'> & {
  /** Id of the pattern within its source. */
  readonly pattern: string;
  /** Text with places, `{asset}.{name}`: what names it can make. */
  readonly template: string;
  /** Places kept for it in the tag table; what is seen beyond is left out. */
  readonly tagsMax: number;
};

/**
 * A tag definition with its place in the table and the source that reads it.
 * The name is '' while the place is kept for a tag that a pattern has not made yet.
 */
export type Tag = TagDefinition & {
  readonly number: TagNumber;
  readonly source: string;
  /** The pattern that makes it; undefined where the configuration names it. */
  readonly pattern?: string;
};
