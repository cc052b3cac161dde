import type { DueWindow, WindowPlan } from '../../src/domain/window/window-plan.ts';

/** Calls that a test makes on a windower, in order. `add` and `advance` have times; `endBatch` ends a batch. */
export type Step =
  | { readonly kind: 'batch'; readonly samples: readonly Sample[] }
  | { readonly kind: 'advance'; readonly nowMs: number };
export type Sample = {
  readonly column: number;
  readonly timeMs: number;
  readonly value: number;
  readonly good: boolean;
};

/**
 * Naive implementation of the grid rules: it keeps every sample and computes every row from all of them. The real windower,
 * with rings and cursors, must produce the same windows.
 */
export function naiveWindows(
  plan: WindowPlan & { readonly stepMs: number },
  startMs: number,
  steps: readonly Step[],
): readonly Pick<DueWindow, 'timestampMs' | 'lastRow'>[] {
  const arrived: Sample[] = [];
  const due: { timestampMs: number; lastRow: Float32Array }[] = [];
  let next = Math.ceil(startMs / plan.stepMs);
  let rows = 0;
  const sealThrough = (untilMs: number): void => {
    for (; next * plan.stepMs <= untilMs; next += 1) {
      const rowMs = next * plan.stepMs;
      const lastRow = Float32Array.from(plan.tags, (_, column) => valueAt(arrived, column, rowMs, plan.maxAgeMs));
      const hopRows = plan.hopMs === 'scan' ? 1 : plan.hopMs / plan.stepMs;
      if (rows > 0 || rowMs >= startMs + plan.maxAgeMs || !lastRow.some(Number.isNaN)) rows += 1;
      if (rows >= plan.steps && next % hopRows === 0) due.push({ timestampMs: rowMs, lastRow });
    }
  };
  for (const step of steps) {
    if (step.kind === 'advance') sealThrough(step.nowMs - plan.latenessMs);
    else {
      arrived.push(...step.samples);
      const seen = plan.tags.map((_, column) =>
        Math.max(-Infinity, ...arrived.filter((sample) => sample.column === column).map(({ timeMs }) => timeMs)),
      );
      if (step.samples.length > 0) sealThrough(Math.min(...seen));
    }
  }
  return due;
}

function valueAt(arrived: readonly Sample[], column: number, rowMs: number, maxAgeMs: number): number {
  let best: Sample | undefined;
  for (const sample of arrived) {
    if (sample.column !== column || !sample.good || sample.timeMs > rowMs) continue;
    if (best === undefined || sample.timeMs >= best.timeMs) best = sample;
  }
  return best !== undefined && rowMs - best.timeMs <= maxAgeMs ? best.value : Number.NaN;
}
