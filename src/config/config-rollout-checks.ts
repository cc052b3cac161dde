import type { ModelManifest } from '../contracts/model-manifest.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import { type CheckContext, error, type Finding, warning } from './config-finding.ts';
import { manifestFindings, type ModelLookup } from './config-model-checks.ts';

/** Checks that a shadow or canary is another version of the watch's model and judges the same windows. */
export function rolloutFindings({ config, tags }: CheckContext, lookup: ModelLookup): readonly Finding[] {
  return Object.entries(config.watches ?? {}).flatMap(([id, watch]) => {
    const at = ['watches', id];
    if (watch.shadow !== undefined && watch.canary !== undefined)
      return [error([...at, 'canary'], 'a watch can have a shadow or a canary, not both: remove one')];
    const units = new Map(watch.tags.map((tag) => [tag, tags.get(tag)?.unit]));
    return (['shadow', 'canary'] as const).flatMap((kind) => versionFindings(kind, at, watch, units, lookup));
  });
}

function versionFindings(
  kind: 'shadow' | 'canary',
  at: readonly string[],
  watch: WatchConfig,
  units: ReadonlyMap<string, string | undefined>,
  lookup: ModelLookup,
): readonly Finding[] {
  const tried = watch[kind];
  if (tried === undefined) return [];
  const { model } = watch;
  const path = [...at, kind];
  const name = formatModelReference(tried);
  if (tried.name !== model.name)
    return [error(path, `expected a version of ${model.name}, the model of the watch, found ${name}`)];
  if (tried.version === model.version) return [error(path, `the watch already uses ${name}: set another version`)];
  const found = lookup.models.get(name);
  if (found === undefined) return [];
  if (!('manifest' in found)) return [warning(path, 'problem' in found ? found.problem : found.absent)];
  const used = lookup.models.get(formatModelReference(model));
  const manifest = used !== undefined && 'manifest' in used ? used.manifest : undefined;
  return [
    ...manifestFindings({ path: at, name, manifest: found.manifest, watch, units }),
    ...(manifest === undefined ? [] : pairFindings(kind, path, { name, manifest: found.manifest }, manifest)),
  ];
}

/** Compares the candidate with the version that the watch uses, which changes with each activation. */
function pairFindings(
  kind: 'shadow' | 'canary',
  path: readonly string[],
  tried: { readonly name: string; readonly manifest: ModelManifest },
  used: ModelManifest,
): readonly Finding[] {
  const { version, window } = tried.manifest;
  // Activating the candidate ends the rollout. It must not prevent the start of the agent.
  if (version === used.version)
    return [
      warning(path, `${tried.name} is already the active version, so there is nothing to compare: remove '${kind}'`),
    ];
  if (window.steps === used.window.steps) return [];
  const message = `${tried.name} has windows of ${window.steps} rows, but ${used.name}@${used.version} has ${used.window.steps}: versions can be compared only on the same windows`;
  return [warning(path, message)];
}
