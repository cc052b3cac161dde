import type { Judgement } from '../../src/contracts/window-models.ts';
import { type HostHarness, model } from './onnx-host-harness.ts';

/** Judges windows by a model of the harness, each for a watch of its own, in one turn. */
async function judgeWindows(
  harness: HostHarness,
  name: string,
  steps: number,
  windows: readonly (readonly number[])[],
): Promise<readonly Judgement[]> {
  const judgements = new Map<number, Judgement>();
  harness.host.onJudged((judged) => {
    for (const judgement of judged) judgements.set(judgement.job.number, judgement);
  });
  for (const [number, row] of windows.entries()) {
    const values = Float32Array.from(row);
    const window = { timestampMs: 1_000, values, lastRow: values.slice(-row.length / steps), reason: undefined };
    const columns = row.length / steps;
    harness.host.judge(model(name), {
      watch: `w${number}`,
      number,
      window,
      steps,
      columns,
      dueMs: 0,
      explained: false,
    });
  }
  await harness.host.settle();
  return windows.flatMap((_, number) => judgements.get(number) ?? []);
}

/** Scores of the windows; throws if one was not judged. */
export async function scoresOf(
  harness: HostHarness,
  name: string,
  steps: number,
  windows: readonly (readonly number[])[],
): Promise<readonly number[]> {
  return (await judgeWindows(harness, name, steps, windows)).map((judgement) => {
    if (judgement.outcome === 'judged') return judgement.score;
    throw new Error(`${judgement.outcome}: ${judgement.reason}`);
  });
}
