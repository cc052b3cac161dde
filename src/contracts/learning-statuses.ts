/** A value of a tag with few values, such as a status, and how long it was seen. */
type ModeSeen = {
  readonly tag: string;
  readonly value: number;
  /** Name of the value; undefined for a plain number. */
  readonly name: string | undefined;
  readonly seenMs: number;
};

/** How far a watch is in learning its model. */
export type LearningOverview = {
  /**
   * - collecting: history does not cover enough normal running yet
   * - training: a model is being trained
   * - proposed: a trained version waits for its activation
   * - failed: the last training failed; it is repeated with more history
   */
  readonly phase: 'collecting' | 'training' | 'proposed' | 'failed';
  /** Time in which every tag had a good value, and the time that is needed, ms. */
  readonly coveredMs: number;
  readonly neededMs: number;
  /** The proposed version, or the last one that was trained. */
  readonly version: number | undefined;
  /** One sentence for people: what is missing, or what to do. */
  readonly reason: string;
  /** Command that activates the proposed version; undefined without one. */
  readonly command: string | undefined;
  /** States of the machine that the collected time contains, by tags with few values; empty without such tags. */
  readonly modes: readonly ModeSeen[];
};

export interface LearningStatuses {
  /** Undefined if the watch has a model and trains no other. */
  learningOf(watch: string): LearningOverview | undefined;
}
