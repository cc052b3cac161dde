import { describe, expect, test } from 'vitest';
import { FakeInferenceHost } from '../support/fake-inference-host.ts';
import { scan, startLine } from './fakes/start-line.ts';

type Line = Awaited<ReturnType<typeof startLine>>;

const conditionOf = (line: Line) => line.pipeline.conditions(30_000)[0];
const healthOf = (line: Line) => line.deps.health.components().find(({ name }) => name === 'watch/pump-1');

/** Lets time pass in seconds, and observes the state in each, as the agent does. */
async function wait(line: Line, seconds: number, each: () => void = () => undefined): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    each();
    await line.clock.advance(1000);
    conditionOf(line);
  }
}

describe('the state of a watch', () => {
  test('is unknown while its window fills, then that of the verdict, with the time of the last window', async () => {
    const line = await startLine();
    expect(conditionOf(line)).toMatchObject({ state: 'unknown', reason: 'window filling, 0 of 2 rows' });
    await line.second(1, 0);
    await line.second(1, 0);
    expect(conditionOf(line)).toMatchObject({
      state: 'normal',
      reason: undefined,
      judgedMs: Date.UTC(2026, 0, 1) + 1000,
    });
    await line.second(1, 2);
    expect(conditionOf(line)?.state).toBe('abnormal');
  });

  test('is unknown with the reason of the verdict, blind after 30 s, and normal again with the next good window', async () => {
    const line = await startLine({ watches: { 'pump-1': { window: { maxAge: '2s' } } } });
    await line.second(1, 0);
    await line.second(1, 0);
    const judgedMs = conditionOf(line)?.judgedMs;
    const fail = () => line.pipeline.accept(scan(line.clock.nowMs(), [undefined, 0]));
    await wait(line, 10, fail);
    expect(conditionOf(line)).toMatchObject({
      state: 'unknown',
      reason: expect.stringContaining('vibration: no good'),
    });
    await wait(line, 30, fail);
    expect(conditionOf(line)).toMatchObject({ state: 'blind', reason: expect.stringContaining('vibration: no good') });
    expect((conditionOf(line)?.judgedMs ?? 0) - (judgedMs ?? 0)).toBeLessThan(5000);
    await line.second(1, 0);
    await line.second(1, 0);
    await line.second(1, 0);
    expect(conditionOf(line)?.state).toBe('normal');
  });

  test('without any sample after the start, a watch on scans is blind and degraded', async () => {
    const line = await startLine({ watches: { 'pump-1': { window: { step: 'scan' } } } });
    await wait(line, 35);
    expect(conditionOf(line)).toMatchObject({ state: 'blind', reason: 'window filling, 0 of 2 rows' });
    expect(healthOf(line)).toMatchObject({ status: 'degraded', reason: 'window filling, 0 of 2 rows' });
  });

  test('a watch on scans whose scans end is unknown and degraded after maxAge', async () => {
    const line = await startLine({ watches: { 'pump-1': { window: { step: 'scan', maxAge: '5s' } } } });
    for (let second = 0; second < 3; second += 1) await line.second(1, 0);
    await wait(line, 3);
    expect(conditionOf(line)?.state).toBe('normal');
    await wait(line, 3);
    expect(conditionOf(line)).toMatchObject({
      state: 'unknown',
      reason: expect.stringContaining('nothing was received'),
    });
    expect(healthOf(line)?.status).toBe('degraded');
  });

  test('a watch on scans is normal between them, as long as a value counts', async () => {
    const line = await startLine({ watches: { 'pump-1': { window: { step: 'scan', maxAge: '2m' } } } });
    for (let minute = 0; minute < 4; minute += 1) {
      line.pipeline.accept(scan(line.clock.nowMs(), [1, 0]));
      await wait(line, 60);
    }
    expect(conditionOf(line)?.state).toBe('normal');
  });

  test('verdicts that no longer come leave a watch unknown, then degraded, then blind', async () => {
    const line = await startLine();
    await line.second(1, 0);
    await line.second(1, 0);
    line.inference.held = true;
    const good = () => line.pipeline.accept(scan(line.clock.nowMs(), [1, 0]));
    await wait(line, 3, good);
    expect(conditionOf(line)).toMatchObject({ state: 'unknown', reason: 'no verdict for more than 2 s' });
    expect(healthOf(line)?.status).toBe('ok');
    await wait(line, 10, good);
    expect(healthOf(line)).toMatchObject({ status: 'degraded', reason: 'no verdict for more than 2 s' });
    await wait(line, 20, good);
    expect(conditionOf(line)?.state).toBe('blind');
  });

  test('a watch with an hour between windows is unknown while a tag has no value', async () => {
    const line = await startLine({ watches: { 'pump-1': { window: { step: '1s', hop: '1h' } } } });
    const good = () => line.pipeline.accept(scan(line.clock.nowMs(), [1, 0]));
    await wait(line, 3605, good);
    expect(conditionOf(line)?.state).toBe('normal');
    await wait(line, 15, () => line.pipeline.accept(scan(line.clock.nowMs(), [1, undefined])));
    expect(conditionOf(line)).toMatchObject({ state: 'unknown', reason: 'current: timeout' });
    await wait(line, 2, good);
    expect(conditionOf(line)?.state).toBe('normal');
  });

  test('that was blind while its model was loading is ok when it turns out to learn', async () => {
    const inference = new FakeInferenceHost();
    inference.state = 'loading';
    const line = await startLine({ inference });
    await wait(line, 40);
    expect([conditionOf(line)?.state, healthOf(line)?.status]).toEqual(['blind', 'degraded']);
    inference.state = 'absent';
    await wait(line, 1);
    expect([conditionOf(line)?.state, healthOf(line)?.status]).toEqual(['learning', 'ok']);
  });

  test('is learning while its model is absent, for any time', async () => {
    const inference = new FakeInferenceHost();
    inference.state = 'absent';
    const line = await startLine({ inference });
    await wait(line, 60);
    expect(conditionOf(line)).toMatchObject({ state: 'learning', reason: undefined });
    expect(healthOf(line)?.status).toBe('ok');
  });
});
