import { formatModelReference } from '../domain/model/model-reference.ts';
import type { ModelManifest } from '../contracts/model-manifest.ts';
import { formatDuration } from '../domain/duration.ts';
import { ModelDirectory, type StoredModel } from '../models/store/model-directory.ts';
import { ConfigError, errorCode, errorMessage, OperatingError } from '../platform/errors.ts';
import { modelNameFor, type WatchConfig } from '../pipeline/watch-config.ts';
import { type CheckContext, error, type Finding, warning } from './config-finding.ts';
import type { AgentConfig } from './config-schema.ts';
import { nearest } from '../domain/nearest-word.ts';
import { pemProblem } from '../platform/tls-files.ts';

/** A model on disk; or why it has no active version yet, so that its watches learn; or why it cannot be used. */
export type FoundModel =
  | { readonly manifest: ModelManifest; readonly graphProblem?: string | undefined }
  | { readonly absent: string }
  | { readonly problem: string };

/** Models that the configuration names, as found on disk. */
export type ModelLookup = {
  readonly names: readonly string[];
  /** Models of the watches, by reference as in the file: `pump-anomaly`, `pump-anomaly@3`. */
  readonly models: ReadonlyMap<string, FoundModel>;
  /** Served models that cannot be used, with the reason, by name. */
  readonly unusable: ReadonlyMap<string, string>;
};

/** A thread that reads whole graphs reads manifests of this length too, in about 40 ms. A process takes 130 ms of CPU. */
const MANIFEST_LENGTH_MAX = 65_536;

/**
 * Looks up every model that is served, or that a watch names as its model, shadow or canary.
 *
 * @param options `readGraphs`: also checks the SHA-256 of each local graph, and that it has all its values. Otherwise only
 *   manifests are read.
 */
export async function lookUpModels(
  { models, watches = {} }: Partial<AgentConfig>,
  { readGraphs }: { readonly readGraphs: boolean } = { readGraphs: false },
): Promise<ModelLookup> {
  const found = new Map<string, FoundModel>();
  const unusable = new Map<string, string>();
  if (models === undefined) return { names: [], models: found, unusable };
  const directory = ModelDirectory.of(models, readGraphs ? { manifestLengthMax: MANIFEST_LENGTH_MAX } : {});
  const names = await directory.names();
  const checkGraph = async (stored: StoredModel): Promise<undefined> => {
    if (readGraphs && stored.manifest.runtime === 'local') await directory.readModel(stored);
    return undefined;
  };
  for (const { model, shadow, canary } of Object.values(watches))
    for (const named of [model, shadow, canary]) {
      if (named === undefined) continue;
      const reference = formatModelReference(named);
      if (!found.has(reference)) found.set(reference, await find(directory, named, names, checkGraph));
    }
  for (const name of models.serve === 'all' ? names : names.filter((one) => models.serve.includes(one))) {
    const problem = await directory
      .find({ name, version: undefined })
      .then(async (stored) => (await checkGraph(stored)) ?? authorityProblem(name, stored.manifest))
      .catch(problemText);
    if (problem !== undefined) unusable.set(name, problem);
  }
  return { names, models: found, unusable };
}

async function find(
  directory: ModelDirectory,
  model: WatchConfig['model'],
  names: readonly string[],
  checkGraph: (stored: StoredModel) => Promise<undefined>,
): Promise<FoundModel> {
  try {
    const stored = await directory.findForWatch(model);
    await directory.checkFallback(stored);
    return { manifest: stored.manifest, graphProblem: await checkGraph(stored).catch(problemText) };
  } catch (caught) {
    const { name, version } = model;
    const near = names.includes(name) ? undefined : nearest(name, names);
    if (near !== undefined) return { problem: `there is no model '${name}'; did you mean '${near}'?` };
    const versions = await directory.versions(name);
    if (version !== undefined && versions.length > 0 && !versions.includes(version))
      return { problem: `there is no version ${version} of '${name}'; installed versions: ${versions.join(', ')}` };
    const problem = problemText(caught);
    return errorCode(caught) === 'model-absent' ? { absent: problem } : { problem };
  }
}

function problemText(caught: unknown): string {
  if (caught instanceof ConfigError) return `its model.yaml is invalid: ${caught.message.replaceAll('\n', '; ')}`;
  if (caught instanceof OperatingError) return errorMessage(caught);
  throw caught;
}

/**
 * Checks that the model of each watch can be used and that its columns match the tags of the watch. A model that cannot
 * be used is a warning: one bad model must not stop the other watches, neither at a start nor at a reload.
 */
export function modelFindings({ config, tags }: CheckContext, lookup: ModelLookup): readonly Finding[] {
  if (config.models === undefined) return [];
  const served = [...lookup.unusable].map(([name, problem]) =>
    warning(['models', 'serve'], `model '${name}' cannot be served: ${problem}`),
  );
  const watched = Object.entries(config.watches ?? {}).flatMap(([id, watch]) => {
    const name = formatModelReference(watch.model);
    const model = lookup.models.get(name);
    if (model === undefined) return [];
    const at = ['watches', id];
    if ('problem' in model) return [warning([...at, 'model'], model.problem)];
    if ('absent' in model) return absenceFindings(at, watch, model.absent);
    const units = new Map(watch.tags.map((tag) => [tag, tags.get(tag)?.unit]));
    const problems = [model.graphProblem, authorityProblem(name, model.manifest)].filter((text) => text !== undefined);
    const unread = problems.map((text) => warning([...at, 'model'], text));
    return [...unread, ...manifestFindings({ path: at, name, manifest: model.manifest, watch, units })];
  });
  return [...served, ...watched];
}

/** Returns why the certificate authority of a model on a server cannot be used; undefined if it can. */
function authorityProblem(name: string, { remote }: Pick<ModelManifest, 'remote'>): string | undefined {
  if (remote?.ca === undefined) return undefined;
  const problem = pemProblem(remote.ca.includes('-----BEGIN') ? { pem: remote.ca } : remote.ca, 'certificate');
  return problem === undefined ? undefined : `remote.ca in model.yaml of ${name}: ${problem}`;
}

function absenceFindings(at: readonly string[], { model, learn }: WatchConfig, absent: string): readonly Finding[] {
  if (model.version !== undefined) return [warning([...at, 'model'], absent)];
  // A watch with the id of its model says nothing about a model: to learn is what it is for.
  if (modelNameFor(at.at(-1) ?? '') === model.name) return [];
  return [warning([...at, 'model'], `${absent}. The watch is learning for ${formatDuration(learn.forMs)}`)];
}

/** A watch and a model for it. */
export type Binding = {
  readonly path: readonly string[];
  readonly name: string;
  readonly manifest: ModelManifest;
  readonly watch: WatchConfig;
  /** By tag. Undefined if the definition of the tag is invalid. */
  readonly units: ReadonlyMap<string, string | undefined>;
};

/** Checks that the columns of a model match the tags of the watch. */
export function manifestFindings({ path, name, manifest, watch, units }: Binding): readonly Finding[] {
  const columns = manifest.tags.map((column) => column.name);
  const { tags, window } = watch;
  if (tags.length !== columns.length) {
    const message = `${tags.length} tags, but ${name} has ${columns.length} columns: ${columns.join(', ')}`;
    return [error([...path, 'tags'], message)];
  }
  const misplaced = tags.some((tag, index) => tag !== columns[index]) && tags.every((tag) => columns.includes(tag));
  if (misplaced)
    return [
      error([...path, 'tags'], `wrong order: expected the column order of ${name}, which is ${columns.join(', ')}`),
    ];
  const findings = tags.flatMap((tag, index) => {
    const column = manifest.tags[index];
    const unit = units.get(tag);
    if (column === undefined || column.unit === '' || unit === undefined || unit === column.unit) return [];
    const trained = `column ${index + 1} of ${name} ('${column.name}') was trained in ${column.unit}`;
    return unit === ''
      ? [warning([...path, 'tags', index], `${tag} has no unit, ${trained}: give the tag its unit`)]
      : [error([...path, 'tags', index], `${tag} is in ${unit}, but ${trained}: convert it with scale and offset`)];
  });
  const stepMs = manifest.window.stepMs;
  if (stepMs === undefined || window.stepMs === 'scan' || window.stepMs === stepMs) return findings;
  const message = `${formatDuration(window.stepMs)}, but ${name} was trained on steps of ${formatDuration(stepMs)}`;
  return [...findings, warning([...path, 'window', 'step'], message)];
}
