import type { Tensors, TensorSpec } from '../../contracts/inference.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ProviderConfig } from '../../models/store/models-config.ts';

/** One attempt to load a model on one provider; the agent decides what to try next, so that it knows what a host died of. */
export type LoadParams = {
  /** The model as its watch names it; a session already under this key is replaced. */
  readonly key: string;
  readonly model: StoredModel;
  /** The model directory, which the file must really lie in. */
  readonly directory: string;
  readonly modelBytesMax: number;
  /** Private folder (0700) for the copy that is loaded; made and removed by the agent. */
  readonly stagingDirectory: string;
  readonly provider: ProviderConfig;
  readonly intraOpThreads: number;
};

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

export type RunParams = {
  readonly key: string;
  readonly inputs: Tensors;
  /** Whether a NaN or infinity, in or out, fails the run. */
  readonly finite: boolean;
};
export type HostRun = { readonly outputs: Tensors; readonly runMs: number };

/** All that the agent asks of the inference host. One request at a time, but for `ping`. */
export type HostProtocol = {
  readonly load: { readonly params: LoadParams; readonly result: LoadedSession };
  readonly unload: { readonly params: { readonly key: string }; readonly result: undefined };
  readonly run: { readonly params: RunParams; readonly result: HostRun };
  readonly ping: { readonly params: undefined; readonly result: { readonly residentBytes: number } };
};
