import type { EpochMs } from '../epoch-ms.ts';
import type { Windower, WindowPlan } from './window-plan.ts';

/** Time of a row that depends on the scans, for the length of a window: slower scans fill only its newest part. */
const SCAN_MS = 1000;

/** Good samples of one column, oldest first. */
export type ColumnSamples = { readonly timesMs: Float64Array; readonly values: Float64Array };

/** Returns how far back samples are needed to fill a window, in milliseconds. */
export function refillSpanMs({ stepMs, steps, maxAgeMs, latenessMs }: WindowPlan): number {
  return steps * (stepMs === 'scan' ? SCAN_MS : stepMs) + maxAgeMs + latenessMs;
}

/** A sample that arrived while the history was read, or the end of a batch. */
export type LiveSample = Parameters<Windower['add']> | 'end of batch';

/**
 * Fills an empty windower with recorded samples and those that arrived since, as if it had run meanwhile. Only good
 * samples make the rows of a window, so recorded good samples are enough.
 *
 * @param series One for each column of the plan.
 * @param untilMs Time up to which rows are complete.
 * @returns False if the newest sample of more than `missingTagsMax` columns is too old: then the windower is not usable.
 */
export function refill(
  windower: Windower,
  { stepMs, maxAgeMs, latenessMs, missingTagsMax = 0 }: WindowPlan,
  series: readonly ColumnSamples[],
  since: readonly LiveSample[],
  untilMs: EpochMs,
): boolean {
  const stale = series.filter(({ timesMs }) => !(untilMs - (timesMs.at(-1) ?? Number.NaN) <= maxAgeMs));
  if (stale.length > missingTagsMax) return false;
  // Rows before a sample are complete, because later samples have later times.
  const completeBefore = (timeMs: EpochMs): void => {
    if (stepMs !== 'scan') windower.advance((Math.ceil(timeMs / stepMs) - 1) * stepMs + latenessMs);
  };
  for (const { column, timeMs, value } of merged(series)) {
    completeBefore(timeMs);
    // A scan ends where the next one begins, with the first tag.
    if (stepMs === 'scan' && column === 0) windower.endBatch();
    windower.add(column, timeMs, value, true, 0);
  }
  windower.endBatch();
  for (const sample of since) {
    if (sample === 'end of batch') windower.endBatch();
    else {
      completeBefore(sample[1] - latenessMs);
      windower.add(...sample);
    }
  }
  if (stepMs !== 'scan') windower.advance(untilMs);
  return true;
}

/** Yields the samples of all columns in order of time; of the same time, in order of columns. */
function* merged(series: readonly ColumnSamples[]) {
  const next = new Uint32Array(series.length);
  for (;;) {
    let column = -1;
    let timeMs = Infinity;
    for (const [candidate, { timesMs }] of series.entries()) {
      const candidateMs = timesMs[next[candidate] ?? 0] ?? Infinity;
      if (candidateMs >= timeMs) continue;
      column = candidate;
      timeMs = candidateMs;
    }
    if (column < 0) return;
    yield { column, timeMs, value: series[column]?.values[next[column] ?? 0] ?? Number.NaN };
    next[column] = (next[column] ?? 0) + 1;
  }
}
