import { formatModelReference } from '../../src/domain/model/model-reference.ts';
import { describe, expect, test } from 'vitest';
import { watchSchema, withModel } from '../../src/pipeline/watch-config.ts';
import { windowPlan } from '../../src/pipeline/watch.ts';

const minimal = { model: 'pump-anomaly', tags: ['a', 'b'] };
const problems = (entry: object) =>
  watchSchema.safeParse(entry).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('an entry of watches', () => {
  test('needs no more than a model and tags: one row a second, held for 5 s, judged every row, no alarm', () => {
    const config = watchSchema.parse(minimal);
    expect(config.alarm).toBeUndefined();
    expect(windowPlan(withModel('pump-1', config), 60)).toEqual({
      tags: ['a', 'b'],
      steps: 60,
      stepMs: 1000,
      hopMs: 1000,
      maxAgeMs: 5000,
      latenessMs: 250,
      minGood: 1,
      missingTagsMax: 0,
    });
  });

  test.each([
    ['100ms', { maxAgeMs: 5000, latenessMs: 50, hopMs: 100 }],
    ['10s', { maxAgeMs: 30_000, latenessMs: 250, hopMs: 10_000 }],
    ['scan', { maxAgeMs: 5000, latenessMs: 0, hopMs: 'scan' }],
  ])('with step %s the other times follow from it', (step, expected) => {
    expect(windowPlan(withModel('pump-1', watchSchema.parse({ ...minimal, window: { step } })), 10)).toMatchObject(
      expected,
    );
  });

  test('an alarm takes its defaults from the model, and is raised immediately', () => {
    expect(watchSchema.parse({ ...minimal, alarm: {} }).alarm).toEqual({
      threshold: 'model',
      onDelayMs: 0,
      offDelayMs: 0,
      priority: 'medium',
      outOfService: false,
    });
  });

  test('a model may be pinned to a version, and reads back as it was written', () => {
    expect(watchSchema.parse({ ...minimal, model: 'pump-anomaly@3' }).model).toEqual({
      name: 'pump-anomaly',
      version: 3,
    });
    for (const model of ['pump-anomaly@3', 'pump-anomaly'])
      expect(formatModelReference(withModel('pump-1', watchSchema.parse({ ...minimal, model })).model)).toBe(model);
  });

  test.each([
    ['pump-1', 'pump-1'],
    ['Pump 1', 'pump-1'],
    ['Förderband', 'f-rderband'],
    ['_', 'watch'],
  ])('without a model, watch %s learns model %s', (id, name) => {
    expect(withModel(id, watchSchema.parse({ tags: ['a'] })).model).toEqual({ name, version: undefined });
  });

  test.each([
    [{ tags: [] }, ['tags: a watch needs at least one tag']],
    [{ tags: ['a', 'a'] }, ['tags: a tag is listed twice']],
    [{ model: 'pump@0' }, ['model: expected a model such as pump-anomaly or pump-anomaly@3']],
    [{ window: { step: '1s', hop: '1500ms' } }, ['window.hop: must be a multiple of step, 1000 ms']],
    [{ window: { step: '1s', hop: '500ms' } }, ['window.hop: must be a multiple of step, 1000 ms']],
    [{ window: { step: '1ms', lateness: '11s' } }, ['window.lateness: must be 10000 steps or less']],
    [{ window: { step: '0ms' } }, ['window.step: must be 1 ms or more']],
    [{ alarm: { suppressWhen: { tag: 'a' } } }, ['alarm.suppressWhen: expected either above or below']],
    [
      { alarm: { suppressWhen: { tag: 'a', above: 1, below: 2 } } },
      ['alarm.suppressWhen: expected either above or below'],
    ],
  ])('%j is refused with what is expected', (change, expected) => {
    expect(problems({ ...minimal, ...change })).toEqual(expected);
  });
});
