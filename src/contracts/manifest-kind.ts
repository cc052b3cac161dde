import type { AnyManifest, ModelManifest } from './model-manifest.ts';

/** Whether a watch may name the model. Apart from the schema, so that the inference host need not load zod. */
export function judgesWindows(manifest: AnyManifest): manifest is ModelManifest {
  return 'window' in manifest;
}
