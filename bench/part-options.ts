/** Options of one part of the bench. */
export type PartOptions = {
  /** An empty folder for files. */
  readonly folder: string;
  readonly devicePorts: readonly number[];
  readonly brokerUrl: string;
  readonly modelDirectory: string;
  readonly modelFile: string;
  /** Duration of the measurement, after a warm-up of a third of it. */
  readonly measureMs: number;
};
