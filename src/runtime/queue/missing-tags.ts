import type { ModelManifest } from '../../contracts/model-manifest.ts';
import type { Judged } from '../../contracts/window-models.ts';
import { shortestFloat32 } from '../../domain/alarm/verdict-rule.ts';
import { type Estimate, estimatedScore, estimateOf } from '../../domain/model/imputation.ts';
import type { DueWindow } from '../../domain/window/window-plan.ts';

/** Sets of missing tags that are kept for each version; a watch rarely has more than a few. */
const SETS_MAX = 64;

const estimates = new WeakMap<ModelManifest, Map<string, Estimate | undefined>>();

/** Returns how a version estimates the missing columns; undefined if it cannot. */
export function estimateFor(manifest: ModelManifest, missing: readonly number[]): Estimate | undefined {
  if (manifest.imputation === undefined) return undefined;
  let known = estimates.get(manifest);
  if (known === undefined) estimates.set(manifest, (known = new Map()));
  const key = missing.join();
  if (known.has(key)) return known.get(key);
  if (known.size >= SETS_MAX) known.clear();
  const estimate = estimateOf(manifest.imputation, missing, manifest.window.steps);
  known.set(key, estimate);
  return estimate;
}

/** Returns true if a version can judge a window: it is complete, or its missing columns can be estimated. */
export function canEstimate(manifest: ModelManifest, { missing }: DueWindow): boolean {
  return missing === undefined || estimateFor(manifest, missing) !== undefined;
}

/** Returns what differs in a judgement on a window with estimated columns. @param parts Of the window, [measures, tags]. */
export function estimated(
  manifest: ModelManifest,
  parts: readonly number[],
  missing: readonly number[],
): Pick<Judged, 'score' | 'parts' | 'imputed' | 'widening'> {
  const { score, parts: own } = estimatedScore(manifest.imputation ?? { measures: [] }, parts, missing);
  const widening = estimateFor(manifest, missing)?.widening ?? 1;
  return { score: shortestFloat32(Math.fround(score)), parts: own, imputed: missing, widening };
}
