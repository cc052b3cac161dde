import { formatModelReference } from '../domain/model/model-reference.ts';
import type { ModelManifest } from '../contracts/model-manifest.ts';
import { formatDuration } from '../domain/duration.ts';
import { ModelDirectory } from '../models/store/model-directory.ts';
import { ConfigError, errorMessage, OperatingError } from '../platform/errors.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import { type CheckContext, error, type Finding, warning } from './config-finding.ts';
import type { AgentConfig } from './config-schema.ts';
import { nearest } from '../domain/nearest-word.ts';

/** A model on disk, or the reason why it cannot be used. */
type FoundModel = { readonly manifest: ModelManifest } | { readonly problem: string };

/** Models of the watches, as found on disk. */
export type ModelLookup = {
  /** False if the folder is missing or empty. Then there is one finding instead of one for each watch. */
  readonly directoryHasModels: boolean;
  /** Names of all models in the folder. */
  readonly names: readonly string[];
  /** By reference as in the file: `pump-anomaly`, `pump-anomaly@3`. */
  readonly models: ReadonlyMap<string, FoundModel>;
  /** Severity of a model that cannot be used. */
  readonly severity: Finding['severity'];
};

/** Looks up every model that a watch names as its model, shadow or canary. Reads manifests only. */
export async function lookUpModels(
  { models, watches = {} }: Partial<AgentConfig>,
  severity: Finding['severity'],
): Promise<ModelLookup> {
  const found = new Map<string, FoundModel>();
  if (models === undefined) return { directoryHasModels: true, names: [], models: found, severity };
  const directory = ModelDirectory.of(models);
  const names = await directory.names();
  for (const { model, shadow, canary } of Object.values(watches))
    for (const named of [model, shadow, canary])
      if (named !== undefined) found.set(formatModelReference(named), await find(directory, named, names));
  return { directoryHasModels: names.length > 0, names, models: found, severity };
}

async function find(
  directory: ModelDirectory,
  model: WatchConfig['model'],
  names: readonly string[],
): Promise<FoundModel> {
  try {
    const stored = await directory.findForWatch(model);
    await directory.checkFallback(stored);
    return stored;
  } catch (caught) {
    const { name, version } = model;
    const near = names.includes(name) ? undefined : nearest(name, names);
    if (near !== undefined) return { problem: `there is no model '${name}'; did you mean '${near}'?` };
    const versions = await directory.versions(name);
    if (version !== undefined && versions.length > 0 && !versions.includes(version))
      return { problem: `there is no version ${version} of '${name}'; installed versions: ${versions.join(', ')}` };
    if (caught instanceof ConfigError)
      return { problem: `its model.yaml is invalid: ${caught.message.replaceAll('\n', '; ')}` };
    if (caught instanceof OperatingError) return { problem: errorMessage(caught) };
    throw caught;
  }
}

/** Checks that the model of each watch exists and that its columns match the tags of the watch. */
export function modelFindings({ config, tags }: CheckContext, lookup: ModelLookup): readonly Finding[] {
  const watches = Object.entries(config.watches ?? {});
  if (watches.length === 0 || config.models === undefined) return [];
  if (!lookup.directoryHasModels) {
    const path = ['models', 'directory'];
    const message = `there are no models in ${config.models.directory}: install one with 'andon models install', or train one with 'andon train'`;
    return [{ severity: lookup.severity, path, at: 'value', message }];
  }
  return watches.flatMap(([id, watch]) => {
    const name = formatModelReference(watch.model);
    const model = lookup.models.get(name);
    if (model === undefined) return [];
    const at = ['watches', id];
    if ('problem' in model)
      return [{ severity: lookup.severity, path: [...at, 'model'], at: 'value', message: model.problem }];
    const units = new Map(watch.tags.map((tag) => [tag, tags.get(tag)?.unit]));
    return manifestFindings({ path: at, name, manifest: model.manifest, watch, units });
  });
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
