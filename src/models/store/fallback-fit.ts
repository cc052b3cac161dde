import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import { formatModelReference, type ModelReference } from '../../domain/model/model-reference.ts';
import { ConfigError, OperatingError } from '../../platform/errors.ts';

type ModelFinder = { find(model: ModelReference): Promise<{ readonly manifest: AnyManifest }> };

/** Returns why a model cannot judge in the place of a remote one; undefined if it can. */
export function fallbackIncompatibility(remote: AnyManifest, fallback: AnyManifest): string | undefined {
  const label = formatModelReference(fallback);
  if (fallback.runtime === 'remote') return `its fallback ${label} is remote too. Name a local model`;
  if (!judgesWindows(fallback) || !judgesWindows(remote)) return `its fallback ${label} judges no windows`;
  const [columns, wanted] = [fallback, remote].map(({ tags }) =>
    tags.map(({ name, unit }) => `${name} [${unit}]`).join(', '),
  );
  if (columns !== wanted) return `its fallback ${label} has the tags ${columns}, expected ${wanted}`;
  if (fallback.window.steps !== remote.window.steps)
    return `its fallback ${label} has ${fallback.window.steps} steps, expected ${remote.window.steps}`;
  return undefined;
}

/** Returns why the fallback of a manifest cannot be used; undefined if it can, or the manifest has none. */
export async function fallbackProblem(manifest: AnyManifest, models: ModelFinder): Promise<string | undefined> {
  const fallback = manifest.remote?.fallback;
  if (fallback === undefined) return undefined;
  try {
    return fallbackIncompatibility(manifest, (await models.find(fallback)).manifest);
  } catch (error) {
    if (!(error instanceof OperatingError || error instanceof ConfigError)) throw error;
    return `its fallback ${formatModelReference(fallback)} cannot be used: ${error.message.replaceAll('\n', '; ')}`;
  }
}
