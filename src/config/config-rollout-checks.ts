import type { ModelManifest } from '../contracts/model-manifest.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import type { CheckContext, Finding } from './config-finding.ts';
import { error, warning } from './config-finding.ts';
import type { ModelLookup } from './config-model-checks.ts';
import { manifestFindings } from './config-model-checks.ts';

/** Shadows and canaries: that they are versions of the watch's model that judge the same windows. */
export function rolloutFindings({ config, tags }: CheckContext, lookup: ModelLookup): readonly Finding[] {
  return Object.entries(config.watches ?? {}).flatMap(([id, watch]) => {
    const at = ['watches', id];
    if (watch.shadow !== undefined && watch.canary !== undefined)
      return [
        error([...at, 'canary'], "a watch tries one version at a time: name it under 'shadow' or under 'canary'"),
      ];
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
    return [error(path, `${name} is another model than ${model.name}, which the watch uses: name a version of that`)];
  if (tried.version === model.version)
    return [error(path, `${name} is the version that the watch uses anyway: name another`)];
  const found = lookup.models.get(name);
  if (found === undefined || !lookup.directoryHasModels) return [];
  if ('problem' in found) return [{ severity: lookup.severity, path, at: 'value', message: found.problem }];
  const used = lookup.models.get(formatModelReference(model));
  const manifest = used !== undefined && 'manifest' in used ? used.manifest : undefined;
  return [
    ...manifestFindings({ path: at, name, manifest: found.manifest, watch, units }),
    ...(manifest === undefined ? [] : pairFindings(kind, path, { name, manifest: found.manifest }, manifest, lookup)),
  ];
}

/** The version that is tried against the one that the watch uses, which changes with each activation. */
function pairFindings(
  kind: 'shadow' | 'canary',
  path: readonly string[],
  tried: { readonly name: string; readonly manifest: ModelManifest },
  used: ModelManifest,
  lookup: ModelLookup,
): readonly Finding[] {
  const { version, window } = tried.manifest;
  // An activation ends a rollout well; it must not keep the agent from starting.
  if (version === used.version)
    return [warning(path, `${tried.name} is the active version by now, and nothing is tried: take '${kind}' out`)];
  if (window.steps === used.window.steps) return [];
  const message = `${tried.name} sees ${window.steps} rows, ${used.name}@${used.version} ${used.window.steps}: they do not judge the same windows, and cannot be compared`;
  return [{ severity: lookup.severity, path, at: 'value', message }];
}
