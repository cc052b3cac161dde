/** Request to listen to a broker, for a person who looks for tags. */
export type TopicBrowse = {
  /** Filter of the subscription; undefined for all topics that the kind of source reads. */
  readonly filter: string | undefined;
  /** Counts from the answer to the subscription. */
  readonly forMs: number;
};

/** What was received in that time. */
export type TopicListing = {
  readonly topics: readonly TopicReading[];
  /** False if more was received than a listing holds. */
  readonly isComplete: boolean;
};

/** A topic, or a device of Sparkplug. */
export type TopicReading = {
  readonly topic: string;
  readonly messages: number;
  /** Start of the last payload; undefined if it is not a text. */
  readonly payload: string | undefined;
  readonly values: readonly TopicValue[];
  /** Metrics whose name is not known, because their birth was not received. */
  readonly unnamed: number;
};

/** A value that could become a tag. */
export type TopicValue = {
  /** Name that the tag could have. */
  readonly name: string;
  readonly value: number;
  /** Keys of the tag that reads the value. */
  readonly tag: Readonly<Record<string, string>>;
};
