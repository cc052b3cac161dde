import { describe, expect, test } from 'vitest';
import { FakeInferenceHost } from '../support/fake-inference-host.ts';
import { scan, startLine } from './fakes/start-line.ts';

/** Vibration follows the current with a correlation of 0.8; both have a mean of 1 and a deviation of 0.5. */
const imputation = {
  means: [1, 1],
  deviations: [0.5, 0.5],
  lags: 1,
  precision: Buffer.from(Float32Array.of(1 / 0.36, -0.8 / 0.36, 1 / 0.36).buffer).toString('base64'),
  parts: 'parts',
  measures: ['sum'],
};
/** 1 + 0.36 of the variance of vibration that current leaves open, over one tag that is present. */
const WIDER = 1.36;

/** A line whose model estimates one of its two tags. Score: the sum of half of each value of the last row. */
async function lineThatEstimates(window: object = { missingTags: 0.5, maxAge: '1s' }) {
  const inference = new FakeInferenceHost({ imputation, output: { score: 'score', contributions: 'contributions' } });
  const halves = (values: Float32Array) => Array.from(values.slice(-2), (value) => value / 2);
  inference.contributions = halves;
  inference.parts = halves;
  inference.score = (values) => halves(values).reduce((sum, part) => sum + part, 0);
  const line = await startLine({ inference, watches: { 'pump-1': { window, alarm: {} } } });
  /** One scan; an undefined value is bad with the reason timeout. */
  const second = async (vibration: number | undefined, current: number): Promise<void> => {
    line.pipeline.accept(scan(line.clock.nowMs(), [vibration, current]));
    await line.clock.advance(1000);
  };
  const alarm = () => line.alarms.stateOf('pump-1');
  return { ...line, second, alarm };
}

describe('a window with a tag that the model estimates', () => {
  test('is uncertain, lists the tag with the cause, and never blames it', async () => {
    const line = await lineThatEstimates();
    for (let scans = 0; scans < 4; scans += 1) await line.second(0.5, 0.5);
    for (let scans = 0; scans < 4; scans += 1) await line.second(undefined, 0.5);
    expect(line.verdicts().at(-1)).toMatchObject({
      verdict: 'uncertain',
      reason: 'estimated from the other tags: vibration: no good value for 4 s (timeout)',
      imputed: ['vibration'],
      threshold: WIDER,
      score: expect.closeTo(0.55, 5),
      contributions: [{ tag: 'current', share: 1 }],
      tags: { vibration: null, current: 0.5 },
      quality: { vibration: 'bad', current: 'good' },
    });
    expect(line.verdicts().every(({ verdict }) => verdict !== 'unknown')).toBe(true);
    await line.stop();
  });

  test('raises an alarm above the wider threshold', async () => {
    const line = await lineThatEstimates();
    for (let scans = 0; scans < 3; scans += 1) await line.second(0.5, 0.5);
    // Estimated as 1 + 0.8 · (1.2 − 1): a score of 1.18, above the threshold of a complete window only.
    for (let scans = 0; scans < 4; scans += 1) await line.second(undefined, 1.2);
    expect([line.verdicts().at(-1)?.['verdict'], line.alarm()]).toEqual(['uncertain', 'normal']);
    for (let scans = 0; scans < 3; scans += 1) await line.second(undefined, 2);
    expect(line.verdicts().at(-1)).toMatchObject({ verdict: 'abnormal', imputed: ['vibration'] });
    expect(line.alarm()).toBe('unacknowledged');
    await line.stop();
  });

  test('clears no alarm: only a complete window is evidence of normal running', async () => {
    const line = await lineThatEstimates();
    for (let scans = 0; scans < 3; scans += 1) await line.second(2, 2);
    expect(line.alarm()).toBe('unacknowledged');
    for (let scans = 0; scans < 6; scans += 1) await line.second(undefined, 0.5);
    expect([line.verdicts().at(-1)?.['verdict'], line.alarm()]).toEqual(['uncertain', 'unacknowledged']);
    for (let scans = 0; scans < 3; scans += 1) await line.second(0.5, 0.5);
    expect([line.verdicts().at(-1)?.['verdict'], line.alarm()]).toEqual(['normal', 'returned-unacknowledged']);
    await line.stop();
  });

  test('is unknown beyond the share of tags that may be missing, with the reason', async () => {
    const line = await lineThatEstimates({ missingTags: 0.25, maxAge: '1s' });
    for (let scans = 0; scans < 3; scans += 1) await line.second(0.5, 0.5);
    for (let scans = 0; scans < 4; scans += 1) await line.second(undefined, 2);
    expect(line.verdicts().at(-1)).toMatchObject({
      verdict: 'unknown',
      score: null,
      reason: 'vibration: no good value for 4 s (timeout)',
    });
    await line.stop();
  });

  test('is unknown for a model that has no parameters for it', async () => {
    const inference = new FakeInferenceHost();
    const window = { missingTags: 0.5, maxAge: '1s' };
    const line = await startLine({ inference, watches: { 'pump-1': { window, alarm: {} } } });
    for (let scans = 0; scans < 3; scans += 1) await line.second(0, 0);
    for (let scans = 0; scans < 4; scans += 1) {
      line.pipeline.accept(scan(line.clock.nowMs(), [undefined, 0]));
      await line.clock.advance(1000);
    }
    expect(line.verdicts().at(-1)).toMatchObject({ verdict: 'unknown', score: null });
    await line.stop();
  });
});
