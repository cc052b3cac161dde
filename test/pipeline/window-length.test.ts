import { describe, expect, test } from 'vitest';
import { FakeInferenceHost, manifestOf } from '../support/fake-inference-host.ts';
import { startLine } from './fakes/start-line.ts';

describe("the length of windows is the model's", () => {
  test('a model that becomes ready later is found, and its windows begin then', async () => {
    const inference = new FakeInferenceHost();
    inference.state = 'loading';
    const line = await startLine({ inference });
    await line.second(1, 0);
    expect(line.pipeline.watches()[0]?.lastVerdict?.reason).toBe('model pump-anomaly is not ready: loading');
    inference.state = 'ready';
    for (let second = 0; second < 3; second += 1) await line.second(1, 0);
    expect(line.verdicts().filter(({ verdict }) => verdict === 'normal').length).toBeGreaterThanOrEqual(1);
  });

  test('a new version with a longer window waits for the rows that are missing', async () => {
    const line = await startLine();
    for (let second = 0; second < 3; second += 1) await line.second(1, 0);
    line.inference.manifest = manifestOf({ version: 2, window: { steps: 4 } });
    for (let second = 0; second < 6; second += 1) await line.second(1, 0);
    const { dims } = line.inference.runs.at(-1) ?? { dims: [] };
    expect(dims).toEqual([1, 4, 2]);
    const reasons = line.store.bodies('verdict').map(({ reason }) => reason);
    expect(reasons).toEqual([
      'window filling, 0 of 2 rows',
      '',
      '',
      'the model now uses 4 rows: window filling, 2 of 4 rows',
      '',
      '',
      '',
      '',
      '',
    ]);
    expect(line.verdicts().at(-1)).toMatchObject({ verdict: 'normal', version: 2 });
  });

  test('a new version with a shorter window continues without a break', async () => {
    const line = await startLine();
    for (let second = 0; second < 4; second += 1) await line.second(1, 0);
    line.inference.manifest = manifestOf({ version: 2, window: { steps: 1 } });
    for (let second = 0; second < 3; second += 1) await line.second(1, 0);
    expect(line.inference.runs.map(({ dims }) => dims[1])).toEqual([2, 2, 2, 1, 1, 1]);
    expect(line.store.bodies('verdict').filter(({ verdict }) => verdict === 'unknown')).toHaveLength(1);
  });
});
