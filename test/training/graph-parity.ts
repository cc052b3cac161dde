import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { FittedModel } from '../../src/training/core/algorithm.ts';
import { sliceRows, type TrainingRows } from '../../src/training/core/training-rows.ts';

/** Largest differences between a fit's judgement and its graph's, relative to the larger of the expected value and 1. */
export type ParityGap = { readonly score: number; readonly probabilities: number; readonly contributions: number };

/** Judges every full window of the rows both ways. A label that is not the likeliest class is a gap of infinity. */
export async function parityGap(fitted: FittedModel, rows: TrainingRows): Promise<ParityGap> {
  const { windowRows } = fitted;
  const judged = fitted.judge(rows);
  const batch = judged.scores.length;
  const window = new Float32Array(batch * windowRows * rows.tags);
  for (let first = 0; first < batch; first += 1) {
    window.set(sliceRows(rows, first, first + windowRows).values, first * windowRows * rows.tags);
  }
  const session = await InferenceSession.create(fitted.graph(), { intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    const outputs = await session.run({ window: new Tensor('float32', window, [batch, windowRows, rows.tags]) });
    const found = (name: string) => Array.from((outputs[name]?.data ?? []) as ArrayLike<number | bigint>, Number);
    const probabilities = judged.probabilities ?? new Float64Array();
    const classes = probabilities.length / batch;
    const mislabelled = found('label').some((label, row) => {
      const chances = found('probabilities').slice(row * classes, (row + 1) * classes);
      return chances[label] !== Math.max(...chances);
    });
    const explained = [0, Math.floor(batch / 2), batch - 1].flatMap((first) => [
      ...(fitted.explain?.(sliceRows(rows, first, first + windowRows)) ?? []),
    ]);
    const shares = found('contributions');
    const picked = [0, Math.floor(batch / 2), batch - 1].flatMap((first) =>
      shares.slice(first * rows.tags, (first + 1) * rows.tags),
    );
    return {
      score: gap(found('score'), judged.scores),
      probabilities: mislabelled ? Number.POSITIVE_INFINITY : gap(found('probabilities'), probabilities),
      contributions: gap(picked, Float64Array.from(explained)),
    };
  } finally {
    await session.release();
  }
}

function gap(found: readonly number[], expected: Float64Array): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  return expected.reduce(
    (most, value, index) =>
      Math.max(most, Math.abs((found[index] ?? Number.NaN) - value) / Math.max(1, Math.abs(value))),
    0,
  );
}
