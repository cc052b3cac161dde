import type { HostProcess } from './host-process.ts';
import type { LoadedSession } from '../../contracts/model-session.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelsConfig, ProviderConfig } from '../../models/store/models-config.ts';
import { servingOf } from '../../models/store/serving.ts';

/** Loads a model in a host on one provider, which proves it. @throws {OperatingError} As the host does. */
export async function loadSession(
  host: HostProcess,
  key: string,
  model: StoredModel,
  provider: ProviderConfig,
  config: ModelsConfig,
): Promise<LoadedSession> {
  return host.call(
    'load',
    {
      key,
      model,
      directory: config.directory,
      modelBytesMax: config.maxModelSizeBytes,
      stagingDirectory: await host.stagingDirectory,
      provider,
      intraOpThreads: servingOf(config, model.manifest).intraOpThreads,
    },
    config.loadDeadlineMs,
  );
}
