import type { LoadedModels } from '../../contracts/inference.ts';
import type { AccessControl } from '../../web/access/access-control.ts';

/** Extensions that HTTP and gRPC have. */
const EXTENSIONS = ['binary_tensor_data', 'statistics', 'model_configuration', 'parameters'];

/** Returns the metadata of the server. @param extensions Those of the transport alone. */
export function serverMetadata(
  version: string,
  extensions: readonly string[],
  access: Pick<AccessControl, 'hasEngineer'>,
) {
  const repository = access.hasEngineer ? ['model_repository'] : [];
  return { name: 'andon', version, extensions: [...EXTENSIONS, ...extensions, ...repository] };
}

/** Returns the readiness of the server. @param strict True if it needs every model that should run. */
export function isReady(models: Pick<LoadedModels, 'statuses'>, strict: boolean): boolean {
  return !strict || models.statuses().every(({ state }) => state === 'ready');
}
