import type { Tensors } from '../../contracts/inference.ts';
import type { HostRun, LoadedSession } from '../../contracts/model-session.ts';
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

export type RunParams = {
  readonly key: string;
  readonly inputs: Tensors;
  /** Whether a NaN or infinity, in or out, fails the run. */
  readonly finite: boolean;
};

/** All that the agent asks of the inference host. One request at a time, but for `ping`. */
export type HostProtocol = {
  readonly load: { readonly params: LoadParams; readonly result: LoadedSession };
  readonly unload: { readonly params: { readonly key: string }; readonly result: undefined };
  readonly run: { readonly params: RunParams; readonly result: HostRun };
  readonly ping: { readonly params: undefined; readonly result: { readonly residentBytes: number } };
};
