/** Where the threshold is on the bar, 0 to 1. */
export const THRESHOLD_AT = 0.6;

/**
 * Returns where a score is on a bar of 0 to 1 whose threshold is at `THRESHOLD_AT`. The scale is logarithmic: small scores
 * differ visibly, and five times the threshold fills the bar.
 *
 * @param abnormal Abnormal side of the threshold. A score below its threshold is shown by the inverse ratio.
 * @returns Undefined without a score or a ratio: a threshold of 0 or of the other sign.
 */
export function scorePosition(
  score: number | null | undefined,
  threshold: number | null | undefined,
  abnormal: 'above' | 'below' = 'above',
): number | undefined {
  if (score === null || score === undefined || threshold === null || threshold === undefined) return undefined;
  const ratio = abnormal === 'above' ? score / threshold : threshold / score;
  if (!Number.isFinite(ratio) || threshold === 0) return undefined;
  return Math.min(1, Math.max(0, THRESHOLD_AT * Math.log10(1 + 9 * Math.max(0, ratio))));
}
