import type { ModelManifest } from '../contracts/model-manifest.ts';

/*
 * Who is to blame, for a model that does not say so itself: each tag in turn is set to its ordinary value of training
 * over the whole window, and the model judges again. The tag whose absence brings the score back most did most of it.
 *
 * Cost: one more run with a row for each tag, for an abnormal window only, and within `OCCLUSION_ROWS_MAX` rows a
 * batch; windows beyond that go unexplained.
 *
 * @see Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (2014), section 4.2: occlusion.
 */
export const OCCLUSION_ROWS_MAX = 256;

/** Past the model's own threshold, of a model that says what is ordinary: the only windows worth asking about. */
export function deservesExplanation(manifest: ModelManifest, score: number): boolean {
  if (manifest.tags.length < 2 || !manifest.tags.some((_, tag) => ordinaryValue(manifest, tag) !== undefined))
    return false;
  return manifest.abnormal === 'above' ? score > manifest.threshold : score < manifest.threshold;
}

/**
 * @param window Shape [steps, tags], row-major.
 * @param out Gets the window once for each tag, shape [tags, steps, tags], the tag of each at its ordinary value.
 */
export function occlude(window: Float32Array, manifest: ModelManifest, out: Float32Array): void {
  const tags = manifest.tags.length;
  for (let hidden = 0; hidden < tags; hidden += 1) {
    const offset = hidden * window.length;
    out.set(window, offset);
    const value = ordinaryValue(manifest, hidden);
    if (value === undefined) continue;
    for (let cell = hidden; cell < window.length; cell += tags) out[offset + cell] = value;
  }
}

/** How far hiding each tag brings the score back towards normal; 0 for one that makes it worse. */
export function occlusionParts(manifest: ModelManifest, score: number, occluded: readonly number[]): readonly number[] {
  const sign = manifest.abnormal === 'above' ? 1 : -1;
  return occluded.map((other) => Math.max(0, sign * (score - other)));
}

/** The median of training, or the middle of the range; undefined where the manifest has neither. */
function ordinaryValue({ tags }: ModelManifest, tag: number): number | undefined {
  const { distribution, range } = tags[tag] ?? {};
  const edges = distribution?.edges ?? [];
  const median = edges[Math.floor(edges.length / 2)];
  return median ?? (range === undefined ? undefined : (range[0] + range[1]) / 2);
}
