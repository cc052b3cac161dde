import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import { formatModelReference } from '../../domain/model/model-reference.ts';
import { ConfigError, OperatingError } from '../../platform/errors.ts';
import type { ModelDirectory } from './model-directory.ts';

/** Why a model cannot judge in the place of a remote one; '' where it can. */
export function fallbackIncompatibility(remote: AnyManifest, fallback: AnyManifest): string {
  const label = formatModelReference(fallback);
  if (fallback.runtime === 'remote') return `its fallback ${label} is remote itself; name a local model`;
  if (!judgesWindows(fallback) || !judgesWindows(remote)) return `its fallback ${label} judges no windows`;
  const [columns, wanted] = [fallback, remote].map(({ tags }) =>
    tags.map(({ name, unit }) => `${name} [${unit}]`).join(', '),
  );
  if (columns !== wanted) return `its fallback ${label} sees the tags ${columns}, not ${wanted}`;
  if (fallback.window.steps !== remote.window.steps)
    return `its fallback ${label} sees ${fallback.window.steps} steps, not ${remote.window.steps}`;
  return '';
}

/** Why the fallback that a manifest names cannot be used; '' where it can, or none is named. */
export async function fallbackProblem(manifest: AnyManifest, directory: ModelDirectory): Promise<string> {
  const fallback = manifest.remote?.fallback;
  if (fallback === undefined) return '';
  try {
    return fallbackIncompatibility(manifest, (await directory.find(fallback)).manifest);
  } catch (error) {
    if (!(error instanceof OperatingError || error instanceof ConfigError)) throw error;
    return `its fallback ${formatModelReference(fallback)} cannot be used: ${error.message.replaceAll('\n', '; ')}`;
  }
}
