import type { Tensors, TensorSpec } from './inference.ts';

export type LoadedSession = {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Nodes of the graph by the provider they ran on, from ONNX Runtime's own profile; empty on the CPU, where it is no question. */
  readonly nodesByProvider: Readonly<Record<string, number>>;
  readonly golden: GoldenReport;
  readonly batching: Batching;
  /** Milliseconds that all of it took, during which the host could do nothing else. */
  readonly loadMs: number;
};

/**
 * How rows of several callers may go together. 'rows': as one run, which was seen not to mix them; 'row-by-row': the
 * graph takes one, so a batch is run one after another and nothing is gained; 'none': nobody knows that there are rows.
 */
export type Batching = 'rows' | 'row-by-row' | 'none';

export type GoldenReport = {
  readonly vectors: number;
  /** Relative to max(1, |expected|). */
  readonly largestDifference: number;
  /** Whether several vectors as one batch gave what they give one by one. */
  readonly rowsStayApart: boolean;
};

export type HostRun = { readonly outputs: Tensors; readonly runMs: number };
