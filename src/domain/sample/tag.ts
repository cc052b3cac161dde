/** Index of a tag in the agent's tag table. It is assigned at the start, so that samples carry numbers instead of names. */
export type TagNumber = number;

/** A named process value, as defined in the configuration of its source. */
export type TagDefinition = {
  readonly name: string;
  /** Engineering unit for display; '' if the value has none. */
  readonly unit: string;
  /** Smallest and largest plausible value in engineering units. A value outside is `uncertain`. */
  readonly range: readonly [number, number] | undefined;
  /** Smallest change in engineering units that is reported; 0 reports every change. */
  readonly deadband: number;
  /** Display names of whole numbers: the states of an enumeration. */
  readonly names?: Readonly<Record<string, string>> | undefined;
  /** Rule for a value that does not change; undefined if the value may stay constant. */
  readonly stuck?: StuckRule | undefined;
};

/** A value that stays within `band` engineering units for `afterMs` counts as stuck: `uncertain`. */
type StuckRule = { readonly afterMs: number; readonly band: number };

/**
 * Tags that a source creates from received data, all with the same unit, range and deadband. Their names are not known
 * before the data arrives.
 */
export type TagPattern = Omit<TagDefinition, 'name'> & {
  readonly pattern: string;
  /** Template of the names, such as `{asset}.{name}`. */
  readonly template: string;
  /** Slots in the tag table for this pattern. Further tags are ignored. */
  readonly tagsMax: number;
};

/**
 * A tag definition with its number and its source. The name is '' while the slot is reserved for a pattern.
 */
export type Tag = TagDefinition & {
  readonly number: TagNumber;
  readonly source: string;
  /** Pattern that created it; undefined if the configuration names the tag. */
  readonly pattern?: string;
};
