import type { EpochMs } from '../epoch-ms.ts';
import { GridWindower } from './grid-windower.ts';
import { ScanWindower } from './scan-windower.ts';
import type { DueListener, Windower, WindowPlan } from './window-plan.ts';

/**
 * @param startMs Rows start at the first grid point at or after it.
 * @param onDue Called during `endBatch` or `advance`, in order of time. Must not call the windower.
 */
export function createWindower(plan: WindowPlan, startMs: EpochMs, onDue: DueListener): Windower {
  return plan.stepMs === 'scan'
    ? new ScanWindower(plan, startMs, onDue)
    : new GridWindower(plan, plan.stepMs, startMs, onDue);
}
