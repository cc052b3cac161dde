import type { TagSeries } from '../contracts/sample-history.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { type LiveSample, refill } from '../domain/window/refill.ts';
import type { DueListener, Windower } from '../domain/window/window-plan.ts';
import { createWindower } from '../domain/window/windower.ts';
import { type Watch, windowPlan } from './watch.ts';

/**
 * Returns the windows of a watch, filled from the history, so that a restart, a reload or a longer window loses no time.
 * No window that ended before is due.
 *
 * @param series Good samples of each tag of the watch, from `startMs` on.
 * @param since Samples that arrived after the history was asked.
 * @returns Undefined if the history has a gap up to now.
 */
export function filledWindower(
  watch: Watch,
  series: readonly TagSeries[],
  since: readonly LiveSample[],
  times: { readonly startMs: EpochMs; readonly nowMs: EpochMs },
  onDue: DueListener,
): Windower | undefined {
  const plan = windowPlan(watch.config, watch.steps);
  let isLive = false;
  const windower = createWindower(plan, times.startMs, (window) => {
    if (isLive) onDue(window);
  });
  const isFilled = refill(windower, plan, series, since, times.nowMs);
  isLive = true;
  return isFilled ? windower : undefined;
}
