/** What one part of the bench is given. */
export type PartOptions = {
  /** An empty folder for files. */
  readonly folder: string;
  readonly devicePorts: readonly number[];
  readonly brokerUrl: string;
  readonly modelDirectory: string;
  readonly modelFile: string;
  /** How long to measure, after a warm-up of a third of it. */
  readonly measureMs: number;
};
