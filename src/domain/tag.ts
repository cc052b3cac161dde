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
};

/** A tag definition with its place in the table and the source that reads it. */
export type Tag = TagDefinition & { readonly number: TagNumber; readonly source: string };
