import type { AnyManifest, ModelManifest } from './model-manifest.ts';

/** Returns whether a watch may use the model. In a file of its own, so that the inference host does not load zod. */
export function judgesWindows(manifest: AnyManifest): manifest is ModelManifest {
  return 'window' in manifest;
}
