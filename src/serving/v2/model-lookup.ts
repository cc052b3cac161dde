import type { LoadedModels, ModelStatus, ServedModel, ClientInference } from '../../contracts/inference.ts';
import type { ModelReference } from '../../domain/model/model-reference.ts';
import type { OperatingError } from '../../platform/errors.ts';
import { v2Failure } from './v2-errors.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';

export type FoundModel = { readonly reference: ModelReference; readonly served: ServedModel };

type Models = Pick<LoadedModels, 'served' | 'statuses'>;

/**
 * Finds a model for a run. Nearly all requests are for the active version, which this process has; it is found without reading
 * the list of all models.
 *
 * @throws {OperatingError} As `lookUpModel`.
 */
export function findModel(
  inference: Pick<ClientInference, 'served' | 'models'>,
  name: string,
  version: string | undefined,
): FoundModel | Promise<FoundModel> {
  return (
    activeModel(inference, name, version) ?? inference.models().then((models) => lookUpModel(models, name, version))
  );
}

/**
 * Finds a model that can run now. Without a version it is the active one, or the highest if only pinned versions are loaded.
 *
 * @param version As in the URL; undefined if the URL has none.
 * @throws {OperatingError} 'model-unknown' | 'model-not-ready' with the reason.
 */
export function lookUpModel(models: Models, name: string, version: string | undefined): FoundModel {
  const active = activeModel(models, name, version);
  if (active !== undefined) return active;
  const others = servedVersions(models, name);
  const model =
    version === undefined ? others[0] : others.find(({ served }) => String(served.judgedBy.version) === version);
  if (model !== undefined) return model;
  const label = modelLabel(name, version);
  const statuses = ofVersion(models.statuses(), name, version);
  // The copy of a watch may be ready while the copy for clients is not.
  const status = statuses.find(({ state }) => state !== 'ready') ?? statuses[0];
  if (status === undefined) throw v2Failure('model-unknown', `Model ${label} is not loaded`);
  throw notReady(label, status);
}

function activeModel(
  models: Pick<Models, 'served'>,
  name: string,
  version: string | undefined,
): FoundModel | undefined {
  const reference = { name, version: undefined };
  const served = models.served(reference);
  const isAsked = served !== undefined && (version === undefined || String(served.judgedBy.version) === version);
  return isAsked ? { reference, served } : undefined;
}

/** Returns the entries of a model, or of one version. */
export function ofVersion<Entry extends { readonly name: string; readonly version: number }>(
  entries: readonly Entry[],
  name: string,
  version: string | undefined,
): readonly Entry[] {
  return entries.filter((each) => each.name === name && (version === undefined || String(each.version) === version));
}

/** Returns a model for a message. */
export function modelLabel(name: string, version: string | undefined): string {
  return version === undefined ? `'${name}'` : `'${name}' version ${version}`;
}

/** Returns the versions of a model that can run now, newest first, each once. */
export function servedVersions(models: Models, name: string): readonly FoundModel[] {
  const loaded = models.statuses().filter((status) => status.name === name);
  const references = [{ name, version: undefined }, ...loaded.map(({ version }) => ({ name, version }))];
  const found = new Map<number, FoundModel>();
  for (const reference of references) {
    const served = models.served(reference);
    if (served !== undefined && !found.has(served.judgedBy.version))
      found.set(served.judgedBy.version, { reference, served });
  }
  return [...found.values()].sort((a, b) => b.served.judgedBy.version - a.served.judgedBy.version);
}

function notReady(label: string, { state, reason }: ModelStatus): OperatingError {
  const why = reason === undefined ? '' : `: ${reason}`;
  return inferenceFailure('model-not-ready', `Model ${label} is ${state === 'ready' ? 'loading' : state}${why}`);
}
