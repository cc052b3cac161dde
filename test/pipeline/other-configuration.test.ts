import { describe, expect, test } from 'vitest';
import { limitsSchema } from '../../src/pipeline/limit-config.ts';
import type { PipelineChange, PipelineConfig } from '../../src/pipeline/pipeline.ts';
import { watchSchema, withModel } from '../../src/pipeline/watch-config.ts';
import { FakeInferenceHost } from '../support/fake-inference-host.ts';
import { metricValue } from '../support/test-deps.ts';
import { startLine } from './fakes/start-line.ts';

const tags = ['vibration', 'current'];
const watch = (id: string, fields: object = {}) =>
  [id, withModel(id, watchSchema.parse({ model: 'pump-anomaly', tags, ...fields }))] as const;
const unchanged: PipelineChange = { untouchedLimits: new Set(), changedTags: new Set(), renewed: new Set() };
const configOf = (...watches: readonly (readonly [string, ReturnType<typeof watch>[1]])[]): PipelineConfig => ({
  watches: new Map(watches),
  sampleRecords: false,
});

test('a watch that continues loses no window; one that starts again fills its own', async () => {
  const line = await startLine({ watches: { same: {}, other: {} } });
  for (let second = 0; second < 3; second += 1) await line.second(1, 0);
  const stored = line.store.bodies('verdict').length;
  await line.pipeline.endWatches(['other']);
  line.pipeline.change(configOf(watch('same'), watch('other', { tags: ['current', 'vibration'] })), {}, unchanged);
  for (let second = 0; second < 3; second += 1) await line.second(1, 7);
  const verdicts = (id: string) =>
    line.store
      .bodies('verdict')
      .slice(stored)
      .flatMap(({ watch: of, verdict, reason }) => (of === id ? [reason === '' ? verdict : reason] : []));
  expect(verdicts('same')).toEqual(['abnormal', 'abnormal', 'abnormal']);
  expect(verdicts('other')).toEqual(['window filling, 0 of 2 rows', 'normal', 'normal']);
  expect(line.pipeline.watches().map(({ watch: id }) => id)).toEqual(['same', 'other']);
});

test('a watch that ends first gets the verdicts of its due windows, with its own tags', async () => {
  const inference = new FakeInferenceHost();
  const line = await startLine({ inference, watches: { other: {} } });
  for (let second = 0; second < 3; second += 1) await line.second(1, 0);
  inference.held = true;
  await line.second(4, 0);
  let hasEnded = false;
  const ended = line.pipeline.endWatches(['other']).then(() => (hasEnded = true));
  await line.second(4, 0);
  expect(hasEnded).toBe(false);
  inference.release();
  await ended;
  line.pipeline.change(configOf(), {}, unchanged);
  expect(line.pipeline.watches()).toEqual([]);
  const counts = await line.deps.metrics.text();
  expect(counts).not.toContain('andon_score{watch="other"}');
  expect(line.deps.health.components().map(({ name }) => name)).not.toContain('watch/other');
  const due = Number(/andon_windows_due_total\{watch="other"\} (\d+)/.exec(counts)?.[1]);
  expect(line.verdicts()).toHaveLength(due);
});

test('derived tags and limits continue from their state, those of a changed tag start again', async () => {
  const expr = "integral(tag('vibration'))";
  const limits = { vibration: { high: 100 } };
  const line = await startLine({ watches: {}, derived: { sum: { expr } }, limits });
  for (let second = 0; second < 4; second += 1) await line.second(1, 0);
  const sum = () => line.pipeline.tags().find(({ tag }) => tag === 'sum')?.value;
  expect(sum()).toBeCloseTo(3);
  const config = { ...configOf(), limits: { vibration: limitsSchema.parse(limits.vibration) } };
  line.pipeline.change(config, { sum: { expr } }, { ...unchanged, untouchedLimits: new Set(['vibration']) });
  await line.second(1, 0);
  expect(sum()).toBeCloseTo(4);
  line.pipeline.change(
    config,
    { sum: { expr } },
    { ...unchanged, changedTags: new Set(['vibration', 'sum']), renewed: new Set([0, 3]) },
  );
  expect(line.pipeline.tags()[0]).toMatchObject({ tag: 'vibration', value: undefined, reason: 'not-read-yet' });
  for (let second = 0; second < 2; second += 1) await line.second(1, 0);
  expect(sum()).toBeCloseTo(1);
});

describe('alarms of another configuration', () => {
  const definition = (id: string, priority: 'low' | 'high') => ({
    id: `watch/${id}`,
    watch: id,
    title: id,
    onDelayMs: 0,
    offDelayMs: 0,
    priority,
    outOfService: false,
    suppressWhen: undefined,
  });

  /** A line whose alarm pump-1 is active. */
  async function alarmedLine(alarm: object = {}) {
    const line = await startLine({ watches: { 'pump-1': { alarm } } });
    for (let second = 0; second < 2; second += 1) await line.second(4.2, 2);
    return line;
  }

  const announced = (line: Awaited<ReturnType<typeof startLine>>) =>
    line.received.flatMap((event) => (event.type === 'alarm' ? [event.transition.state] : []));

  test('an alarm that it still has keeps its state and gets its priority; a new one is announced', async () => {
    const line = await alarmedLine({ priority: 'low' });
    line.alarms.define([definition('pump-1', 'high'), definition('pump-2', 'low')], 'end');
    await line.clock.advance(0);
    expect(line.alarms.list()).toMatchObject([
      { alarm: 'watch/pump-1', state: 'unacknowledged', priority: 'high' },
      { alarm: 'watch/pump-2', state: 'normal', priority: 'low' },
    ]);
    expect(line.store.bodies('alarm')).toHaveLength(1);
    expect(announced(line)).toEqual(['unacknowledged', 'unacknowledged', 'normal']);
    const gauge = (state: string, priority: string) =>
      metricValue(line.deps, `andon_alarms{state="${state}",priority="${priority}"}`);
    expect(await gauge('unacknowledged', 'high')).toBe(1);
    expect(await gauge('unacknowledged', 'low')).toBe(0);
  });

  test('an active alarm that it does not have ends with a record, and subscribers receive it', async () => {
    const line = await alarmedLine();
    line.alarms.define([definition('pump-2', 'low')], 'end');
    await line.clock.advance(0);
    expect(line.alarms.list().map(({ alarm }) => alarm)).toEqual(['watch/pump-2']);
    expect(line.store.bodies('alarm').at(-1)).toMatchObject({
      alarm: 'watch/pump-1',
      state: 'normal',
      cause: 'returned-to-service',
      by: 'configuration',
    });
    expect(announced(line)).toEqual(['unacknowledged', 'normal', 'normal']);
  });
});
