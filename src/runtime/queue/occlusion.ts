import type { ModelManifest } from '../../contracts/model-manifest.ts';

/*
 * Explains an abnormal score of a model without contributions: each tag in turn is set to its typical training value over
 * the whole window, and the model judges again. The tag that brings the score closest to normal contributed most.
 *
 * Cost: one more run with a row for each tag, for abnormal windows only, with at most `OCCLUSION_ROWS_MAX` rows a batch.
 * Windows above that limit have no explanation.
 *
 * @see Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (2014), section 4.2: occlusion.
 */
export const OCCLUSION_ROWS_MAX = 256;

/** True if the score is past the model's own threshold and the manifest has typical values. */
export function deservesExplanation(manifest: ModelManifest, score: number): boolean {
  if (manifest.tags.length < 2 || !manifest.tags.some((_, tag) => typicalValue(manifest, tag) !== undefined))
    return false;
  return manifest.abnormal === 'above' ? score > manifest.threshold : score < manifest.threshold;
}

/**
 * @param window Shape [steps, tags], row-major.
 * @param out Receives the window once for each tag, shape [tags, steps, tags], with that tag at its typical value.
 */
export function occlude(window: Float32Array, manifest: ModelManifest, out: Float32Array): void {
  const tags = manifest.tags.length;
  for (let hidden = 0; hidden < tags; hidden += 1) {
    const offset = hidden * window.length;
    out.set(window, offset);
    const value = typicalValue(manifest, hidden);
    if (value === undefined) continue;
    for (let cell = hidden; cell < window.length; cell += tags) out[offset + cell] = value;
  }
}

/** Returns how far each tag's typical value brings the score towards normal; 0 if it increases the distance. */
export function occlusionParts(manifest: ModelManifest, score: number, occluded: readonly number[]): readonly number[] {
  const sign = manifest.abnormal === 'above' ? 1 : -1;
  return occluded.map((other) => Math.max(0, sign * (score - other)));
}

/** Returns the median of the training, or the middle of the range; undefined if the manifest has neither. */
function typicalValue({ tags }: ModelManifest, tag: number): number | undefined {
  const { distribution, range } = tags[tag] ?? {};
  const edges = distribution?.edges ?? [];
  const median = edges[Math.floor(edges.length / 2)];
  return median ?? (range === undefined ? undefined : (range[0] + range[1]) / 2);
}
