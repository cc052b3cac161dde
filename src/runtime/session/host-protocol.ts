import type { HostRun, LoadedSession, RunParams } from '../../contracts/model-session.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ProviderConfig } from '../../models/store/models-config.ts';

/** One attempt to load a model on one provider. The agent decides what to try next, so that it knows what ended a host. */
export type LoadParams = {
  /** Name of the model in its watch. A session that is loaded under this key is replaced. */
  readonly key: string;
  readonly model: StoredModel;
  /** The model directory. The file must lie in it after links are resolved. */
  readonly directory: string;
  readonly modelBytesMax: number;
  /** Private folder (0700) for the copy that is loaded; the agent creates and removes it. */
  readonly stagingDirectory: string;
  readonly provider: ProviderConfig;
  readonly intraOpThreads: number;
};

/** Requests of the agent to the inference host. One at a time, except `ping`. */
export type HostProtocol = {
  readonly load: { readonly params: LoadParams; readonly result: LoadedSession };
  readonly unload: { readonly params: { readonly key: string }; readonly result: undefined };
  readonly run: { readonly params: RunParams; readonly result: HostRun };
  readonly ping: { readonly params: undefined; readonly result: { readonly residentBytes: number } };
};
