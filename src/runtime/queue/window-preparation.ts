import type { ModelManifest } from '../../contracts/model-manifest.ts';
import type { Judged } from '../../contracts/window-models.ts';
import { shortestFloat32 } from '../../domain/alarm/verdict-rule.ts';
import { type Estimate, estimatedScore, estimateOf } from '../../domain/model/imputation.ts';
import { moveFromNearest } from '../../domain/model/machine-regimes.ts';
import { modeOf, moveToReference, newModeIn } from '../../domain/model/machine-modes.ts';
import type { DueWindow } from '../../domain/window/window-plan.ts';

/** Sets of missing tags that are kept for each version; a watch rarely has more than a few. */
const SETS_MAX = 64;
/** Known modes in the reason of a new one. */
const MODES_NAMED_MAX = 10;

const estimates = new WeakMap<ModelManifest, Map<string, Estimate | undefined>>();

/** Returns how a version estimates the missing columns; undefined if it cannot. */
function estimateFor(manifest: ModelManifest, missing: readonly number[]): Estimate | undefined {
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

/** Returns why a version cannot judge a window: missing columns that it cannot estimate, or a new mode; undefined if it can. */
export function unfitReason(manifest: ModelManifest, { missing = [], values, reason }: DueWindow): string | undefined {
  const { modes, tags } = manifest;
  if (values === undefined) return reason;
  if (modes !== undefined && missing.includes(modes.column)) return reason;
  if (missing.length > 0 && estimateFor(manifest, missing) === undefined) return reason;
  const mode = modes === undefined ? undefined : newModeIn(modes, values);
  if (modes === undefined || mode === undefined) return undefined;
  const known = modes.values.slice(0, MODES_NAMED_MAX).map(({ value }) => String(value));
  return `new mode: ${tags[modes.column]?.name} is ${shortestFloat32(mode)}, and the model knows ${known.join(', ')}. Train it again on rows that have this mode: andon train`;
}

/** Moves the rows of a window to the reference of their modes or regimes, and estimates its missing columns. */
export function prepareWindow(manifest: ModelManifest, { missing }: DueWindow, values: Float32Array): void {
  if (manifest.modes !== undefined) moveToReference(manifest.modes, values);
  if (manifest.regimes !== undefined) moveFromNearest(manifest.regimes, values);
  if (missing !== undefined) estimateFor(manifest, missing)?.fill(values);
}

/** Returns the factor of the threshold in the mode of the last row. */
export function limitOfMode({ modes }: ModelManifest, { lastRow }: DueWindow): number {
  return modes === undefined ? 1 : (modeOf(modes, lastRow[modes.column] ?? Number.NaN)?.limit ?? 1);
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
