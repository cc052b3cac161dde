import { ConfigError, errorMessage, OperatingError } from '../../platform/errors.ts';
import type { HostProcess } from './host-process.ts';
import type { LoadedSession } from '../../contracts/model-session.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelsConfig, ProviderConfig } from '../../models/store/models-config.ts';
import { servingOf } from '../../models/store/serving.ts';

/** Asks a host to load a model on one provider and to prove it; throws as the host does. */
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

/** Why a model cannot be used, for an operator. */
export function loadFailureText(error: unknown): string {
  if (error instanceof ConfigError || error instanceof OperatingError) return error.message;
  return `could not be loaded: ${errorMessage(error)}`;
}
