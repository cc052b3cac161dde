import type { Tensors, TensorSpec } from './inference.ts';

export type LoadedSession = {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Number of graph nodes by provider, from ONNX Runtime's profile; empty on the CPU. */
  readonly nodesByProvider: Readonly<Record<string, number>>;
  readonly golden: GoldenReport;
  readonly batching: Batching;
  /** The host can do nothing else during this time. On the CPU at most the CPU time, see `HostRun.cpuMs`. */
  readonly loadMs: number;
};

/**
 * How rows of several callers can share a run. 'rows': as one batch, which was proved not to mix them; 'row-by-row': the
 * graph takes one row, so that a batch gains nothing; 'none': the graph is not known to have rows.
 */
export type Batching = 'rows' | 'row-by-row' | 'none';

export type GoldenReport = {
  readonly vectors: number;
  /** Relative to max(1, |expected|). */
  readonly largestDifference: number;
  /** Several vectors as one batch gave the same as one by one. */
  readonly rowsStayApart: boolean;
};

export type RunParams = {
  readonly key: string;
  readonly inputs: Tensors;
  /** A NaN or infinity in the inputs or outputs fails the run. */
  readonly finite: boolean;
};

export type HostRun = {
  readonly outputs: Tensors;
  /** Wall-clock time of `session.run`. */
  readonly runMs: number;
  /** CPU time of all threads meanwhile; undefined if the run was elsewhere: on a GPU or a server. */
  readonly cpuMs?: number | undefined;
};
