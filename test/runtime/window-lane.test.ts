import { describe, expect, test } from 'vitest';
import type { Judgement, WindowJob } from '../../src/contracts/window-models.ts';
import { OperatingError } from '../../src/platform/errors.ts';
import { FakeInferenceHost, manifestOf } from '../support/fake-inference-host.ts';

const model = { name: 'pump-anomaly', version: undefined };
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A window whose score is `number`. */
function job(watch: string, number: number, reason = ''): WindowJob {
  const values = reason === '' ? Float32Array.of(0, 0, 0, number) : undefined;
  const window = { timestampMs: number * 1000, values, lastRow: Float32Array.of(0, number), reason };
  return { watch, number, window, steps: 2, columns: 2, dueMs: 0, explained: true };
}

function startJudge() {
  const inference = new FakeInferenceHost();
  const calls: (readonly Judgement[])[] = [];
  inference.onJudged((judgements) => calls.push(judgements));
  const outcomes = () => calls.flat().map(({ job: { window }, outcome }) => [window.timestampMs / 1000, outcome]);
  return { inference, calls, outcomes };
}

describe('the queue in front of a model', () => {
  test('no more than 16 windows of a watch go into one run; those before them are superseded, in order', async () => {
    const { inference, outcomes } = startJudge();
    for (let number = 1; number <= 20; number += 1) inference.judge(model, job('a', number));
    await turn();
    expect(inference.runs.map(({ dims }) => dims[0])).toEqual([16]);
    expect(outcomes()).toEqual(
      Array.from({ length: 20 }, (_, index) => [index + 1, index < 4 ? 'superseded' : 'judged']),
    );
  });

  test('a model that hangs keeps no values of windows that were superseded, and their verdicts come in bounded batches', async () => {
    const { inference, calls, outcomes } = startJudge();
    inference.held = true;
    inference.judge(model, job('a', 1));
    await turn();
    for (let number = 2; number <= 1100; number += 1) {
      inference.judge(model, job('a', number));
      await turn();
    }
    expect(calls.map(({ length }) => length)).toEqual([1024]);
    expect(calls.flat().every(({ job: { window } }) => window.values === undefined)).toBe(true);
    inference.release();
    await inference.settle();
    expect(outcomes()).toHaveLength(1100);
    expect(new Set(outcomes().map(([number]) => number)).size).toBe(1100);
    expect(outcomes().at(-1)).toEqual([1100, 'judged']);
  });

  test('a window that waited while a version with shorter ones took over is judged by its last rows', async () => {
    const { inference, outcomes } = startJudge();
    inference.held = true;
    inference.judge(model, job('a', 1));
    await turn();
    inference.judge(model, job('a', 2));
    inference.manifest = manifestOf({ version: 2, window: { steps: 1 } });
    inference.release();
    await inference.settle();
    expect(outcomes()).toEqual([
      [1, 'judged'],
      [2, 'judged'],
    ]);
    expect(inference.runs.map(({ dims, data }) => [dims, [...data]])).toEqual([
      [
        [1, 2, 2],
        [0, 0, 0, 1],
      ],
      [
        [1, 1, 2],
        [0, 2],
      ],
    ]);
  });

  test('a window that misses values keeps its place in the order of its watch and its own reason', async () => {
    const { inference, outcomes, calls } = startJudge();
    inference.held = true;
    inference.judge(model, job('a', 1));
    await turn();
    inference.judge(model, job('a', 2, 'vibration: no good value'));
    await turn();
    inference.judge(model, job('a', 3));
    await turn();
    expect(outcomes()).toEqual([]);
    inference.release();
    await inference.settle();
    expect(outcomes()).toEqual([
      [1, 'judged'],
      [2, 'unfit'],
      [3, 'judged'],
    ]);
    expect(calls.flat()[1]).toMatchObject({ reason: 'vibration: no good value' });
  });

  test('a batch that is refused is halved until the one to blame is found; a host that is away is not asked again', async () => {
    const { inference, outcomes } = startJudge();
    inference.score = (values) => (values[3] === 5 ? Number.NaN : 1);
    for (let number = 1; number <= 8; number += 1) inference.judge(model, job(`watch-${number}`, number));
    await turn();
    await inference.settle();
    expect(outcomes()).toEqual(Array.from({ length: 8 }, (_, index) => [index + 1, index === 4 ? 'failed' : 'judged']));
    expect(inference.runs.length).toBeLessThanOrEqual(7);

    inference.failure = new OperatingError('host-crashed', 'retry', 'the host crashed');
    const before = inference.runs.length;
    for (let number = 11; number <= 18; number += 1) inference.judge(model, job(`watch-${number}`, number));
    await turn();
    await inference.settle();
    expect(inference.runs.length - before).toBe(1);
  });

  test('a version activated while a batch runs judges with its own threshold, not with the one of the previous version', async () => {
    const { inference, calls } = startJudge();
    const run = inference.run.bind(inference);
    inference.run = (reference, inputs) => {
      inference.manifest = manifestOf({ version: 2, threshold: 7 });
      return run(reference, inputs);
    };
    inference.judge(model, job('a', 1));
    await turn();
    await inference.settle();
    expect(calls.flat()[0]).toMatchObject({ outcome: 'judged', manifest: { version: 2, threshold: 7 } });
  });

  test('an output that is not there is a failure with a reason', async () => {
    const { inference, calls } = startJudge();
    inference.manifest = manifestOf({ output: { score: 'mse' } });
    inference.judge(model, job('a', 1));
    await turn();
    await inference.settle();
    expect(calls.flat()[0]).toMatchObject({
      outcome: 'failed',
      reason: "pump-anomaly@1 has no output 'mse'",
    });
  });
});

describe('a model that explains nothing', () => {
  const ranges = {
    tags: [
      { name: 'vibration', range: [0, 2] },
      { name: 'current', range: [0, 4] },
    ],
  };
  // Its score is three parts vibration and one part current of the last row.
  const weighted = (values: Float32Array) => 3 * (values.at(-2) ?? 0) + (values.at(-1) ?? 0);
  const window = (watch: string, vibration: number, current: number): WindowJob => ({
    watch,
    number: 0,
    window: {
      timestampMs: 0,
      values: Float32Array.of(0, 0, vibration, current),
      lastRow: Float32Array.of(vibration, current),
      reason: undefined,
    },
    steps: 2,
    columns: 2,
    dueMs: 0,
    explained: true,
  });

  test('is asked again with each tag at its ordinary value, and the tag that made the difference is to blame', async () => {
    const { inference, calls } = startJudge();
    inference.manifest = manifestOf(ranges);
    inference.score = weighted;
    inference.judge(model, window('a', 5, 3));
    await turn();
    await inference.settle();
    // The middles of the ranges are 1 and 2: hiding vibration takes 3·(5−1) off the score, hiding current 3−2.
    expect(calls.flat()[0]).toMatchObject({ outcome: 'judged', score: 18, parts: [12, 1] });
    expect(inference.runs.map(({ dims }) => dims[0])).toEqual([1, 2]);
  });

  test('costs nothing if the window is normal, or the manifest has no typical values', async () => {
    const { inference, calls } = startJudge();
    inference.score = weighted;
    inference.judge(model, window('a', 5, 3));
    await turn();
    await inference.settle();
    inference.manifest = manifestOf(ranges);
    inference.judge(model, window('a', 0.1, 0.2));
    await turn();
    await inference.settle();
    expect(inference.runs).toHaveLength(2);
    expect(calls.flat().map((judgement) => ('parts' in judgement ? judgement.parts : 'none'))).toEqual([
      undefined,
      undefined,
    ]);
  });

  test('is asked about no more windows of a batch than the stated number of rows allows', async () => {
    const { inference, calls } = startJudge();
    inference.manifest = manifestOf(ranges);
    inference.score = weighted;
    for (let number = 0; number < 200; number += 1) inference.judge(model, window(`watch-${number}`, 5, 3));
    await turn();
    await inference.settle();
    expect(inference.runs.map(({ dims }) => dims[0])).toEqual([200, 256]);
    expect(calls.flat().filter((judgement) => 'parts' in judgement && judgement.parts !== undefined)).toHaveLength(128);
  });

  test('keeps its verdict if the explanation fails', async () => {
    const { inference, calls } = startJudge();
    inference.manifest = manifestOf(ranges);
    inference.score = (values) => (values.at(-2) === 1 ? Number.NaN : weighted(values));
    inference.judge(model, window('a', 5, 3));
    await turn();
    await inference.settle();
    expect(calls.flat()[0]).toMatchObject({ outcome: 'judged', score: 18, parts: undefined });
  });
});
