import type { Verdict } from '../agent/api-types.ts';
import type { ChartMark } from '../parts/chart.tsx';

const colors = { abnormal: '--high', uncertain: '--strong', unknown: '--strong' } as const;

/** Returns the times in which verdicts were not normal; a mark ends with the next verdict of another kind. */
export function verdictMarks(verdicts: readonly Verdict[], toMs: number): readonly ChartMark[] {
  const marks: ChartMark[] = [];
  let open: { readonly verdict: keyof typeof colors; readonly fromMs: number } | undefined;
  const close = (endMs: number): void => {
    if (open !== undefined) marks.push({ fromMs: open.fromMs, toMs: endMs, color: colors[open.verdict] });
    open = undefined;
  };
  for (const { verdict, timestamp_ms } of verdicts) {
    if (open?.verdict === verdict) continue;
    close(timestamp_ms);
    if (verdict !== 'normal') open = { verdict, fromMs: timestamp_ms };
  }
  close(toMs);
  return marks;
}
