import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OperatingError } from '../../src/platform/errors.ts';
import { draftBody } from '../support/draft-body.ts';
import { metricValue } from '../support/test-deps.ts';
import { FakeInferenceHost, manifestOf } from '../support/fake-inference-host.ts';
import { FakeRecordStore } from './fakes/fake-record-store.ts';
import { scan, startLine } from './fakes/start-line.ts';

describe('from sample to verdict', () => {
  test('a full window results in a verdict record with score, model, provider and the values behind it', async () => {
    const inference = new FakeInferenceHost({ output: { score: 'score', contributions: 'contributions' } });
    inference.contributions = () => [3, 1];
    const line = await startLine({ inference });
    await line.second(4.2, 0.5);
    await line.second(4.3, 1.5);
    expect(line.verdicts()).toEqual([
      {
        watch: 'pump-1',
        score: 1.5,
        threshold: 1,
        verdict: 'abnormal',
        reason: '',
        model: 'pump-anomaly',
        version: 1,
        contributions: [
          { tag: 'vibration', share: 0.75 },
          { tag: 'current', share: 0.25 },
        ],
        provider: 'cpu',
        fallbacks: [],
        tags: { vibration: 4.3, current: 1.5 },
        quality: { vibration: 'good', current: 'good' },
      },
    ]);
  });

  test('an explanation that another model version computed is not part of the verdict', async () => {
    const explained = { tags: ['vibration', 'current'].map((name) => ({ name, range: [0, 2] })) };
    const inference = new FakeInferenceHost(explained);
    const run = inference.run.bind(inference);
    inference.run = async (model, inputs) => {
      const result = await run(model, inputs);
      // Version 2 becomes active between the run for the score and the run for its explanation.
      inference.manifest = manifestOf({ ...explained, version: 2 });
      return result;
    };
    const line = await startLine({ inference });
    await line.second(1, 0);
    await line.second(1, 5);
    await line.second(1, 7);
    expect(inference.runs.map(({ dims }) => dims[0])).toEqual([1, 2, 1, 2]);
    expect(line.verdicts()).toMatchObject([
      { verdict: 'abnormal', version: 1, contributions: [] },
      { verdict: 'abnormal', version: 2, contributions: [{ tag: 'current', share: 1 }] },
    ]);
  });

  test('subscribers receive a verdict only after its record is stored, with its id', async () => {
    const line = await startLine();
    await line.second(1, 0);
    line.store.held = true;
    await line.second(1, 0);
    const before = line.received.filter(({ type }) => type === 'verdict').length;
    line.store.release();
    await line.clock.advance(0);
    const after = line.received.filter((event) => event.type === 'verdict');
    expect([before, after.length]).toEqual([1, 2]);
    expect(after.map((event) => event.id)).toEqual(['1', '2']);
  });

  test('windows of many watches that fall due together go to their model as one run', async () => {
    const watches = { a: {}, b: {}, c: {} };
    const line = await startLine({ watches });
    await line.second(1, 0);
    await line.second(1, 2);
    expect(line.inference.runs.map(({ dims }) => dims)).toEqual([[3, 2, 2]]);
    expect(line.verdicts().map(({ watch, verdict }) => [watch, verdict])).toEqual([
      ['a', 'abnormal'],
      ['b', 'abnormal'],
      ['c', 'abnormal'],
    ]);
    expect(line.store.appends.at(-1)).toHaveLength(3);
  });

  test('while a run is under way one batch waits, and newer windows take the place of those in it', async () => {
    const line = await startLine();
    await line.second(1, 0);
    line.inference.held = true;
    for (const current of [1, 2, 3]) await line.second(1, current);
    line.inference.release();
    await line.clock.advance(0);
    const outcomes = line
      .verdicts()
      .map(({ verdict, score, reason }) => [verdict, score, String(reason).split(':')[0]]);
    expect(outcomes).toEqual([
      ['normal', 1, ''],
      ['unknown', null, 'superseded'],
      ['abnormal', 3, ''],
    ]);
    expect(await metricValue(line.deps, 'andon_windows_decided_total{watch="pump-1",outcome="superseded"}')).toBe(1);
  });

  test('windows that a burst of late samples makes due in one turn are all judged, as one run', async () => {
    const line = await startLine({ watches: { 'pump-1': { window: { lateness: '10s' } } } });
    const startMs = line.clock.nowMs();
    await line.clock.advance(5000);
    for (let second = 0; second <= 4; second += 1) line.pipeline.accept(scan(startMs + second * 1000, [1, second]));
    await line.clock.advance(0);
    expect(line.inference.runs.map(({ dims }) => dims)).toEqual([[4, 2, 2]]);
    expect(line.verdicts().map(({ score }) => score)).toEqual([1, 2, 3, 4]);
  });

  test('every due window has exactly one record, for any samples and any state of the model and the host', async () => {
    const happening = fc.record({
      vibration: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined }),
      current: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
      host: fc.constantFrom('as-it-is', 'hold', 'release', 'crash', 'recover', 'away', 'back'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { minLength: 4, maxLength: 25 }), async (happenings) => {
        const line = await startLine();
        await line.second(1, 0);
        for (const { vibration, current, host } of happenings) {
          if (host === 'hold') line.inference.held = true;
          if (host === 'release') line.inference.release();
          if (host === 'crash')
            line.inference.failure = new OperatingError('host-crashed', 'retry', 'the host crashed');
          if (host === 'recover') line.inference.failure = undefined;
          if (host === 'away') line.inference.state = 'loading';
          if (host === 'back') line.inference.state = 'ready';
          line.pipeline.accept(scan(line.clock.nowMs(), [vibration, current]));
          await line.clock.advance(1000);
        }
        line.inference.release();
        await line.clock.advance(300);
        await line.stop();
        const times = line.store.drafts
          .filter((draft) => draft.kind === 'verdict' && !String(draftBody(draft)['reason']).includes('window filling'))
          .map(({ timestampMs }) => timestampMs);
        const firstMs = Date.UTC(2026, 0, 1) + 1000;
        // A row is sealed when every tag was seen, or 250 ms late: the last may be open.
        expect(times.length).toBeGreaterThanOrEqual(happenings.length - 1);
        expect(times).toEqual(times.map((_, index) => firstMs + index * 1000));
      }),
      { numRuns: 25 },
    );
  });
});

test('the dead band holds a verdict abnormal, also while the alarm still waits for its on-delay', async () => {
  const line = await startLine({ watches: { 'pump-1': { alarm: { deadband: 0.6, onDelay: '1m' } } } });
  for (const current of [0, 2, 0.6, 0]) await line.second(1, current);
  expect(line.verdicts().map(({ verdict }) => verdict)).toEqual(['abnormal', 'abnormal', 'normal']);
});

test('after a stall of the process the samples that come first find their rows', async () => {
  const line = await startLine();
  await line.second(1, 0);
  const nowMs = line.clock.nowMs.bind(line.clock);
  line.clock.nowMs = () => nowMs() + 60_000;
  line.pipeline.accept(scan(line.clock.nowMs(), [1, 7]));
  await line.clock.advance(0);
  expect(line.verdicts().at(-1)).toMatchObject({ tags: { vibration: 1, current: 7 } });
});

describe('what cannot be judged is unknown, and says why', () => {
  test('a tag that fell silent is bad in the record, though its last sample was good', async () => {
    const line = await startLine({ watches: { 'pump-1': { window: { maxAge: '2s' } } } });
    await line.second(1, 0);
    for (let second = 0; second < 4; second += 1) {
      line.pipeline.accept(scan(line.clock.nowMs(), [1]));
      await line.clock.advance(1000);
    }
    expect(line.verdicts().at(-1)).toMatchObject({
      reason: 'current: no good value for 4 s (nothing was received)',
      tags: { current: null },
      quality: { vibration: 'good', current: 'bad' },
    });
  });

  test('values older than maxAge, with the tag, the age and the reason', async () => {
    const line = await startLine({ watches: { 'pump-1': { window: { maxAge: '2s' } } } });
    for (let second = 0; second < 3; second += 1) await line.second(1, 0);
    for (let second = 0; second < 4; second += 1) {
      line.pipeline.accept(scan(line.clock.nowMs(), [undefined, 0]));
      await line.clock.advance(1000);
    }
    expect(line.verdicts().at(-1)).toMatchObject({
      verdict: 'unknown',
      score: null,
      reason: 'vibration: no good value for 4 s (timeout)',
      tags: { vibration: null, current: 0 },
      quality: { vibration: 'bad', current: 'good' },
    });
    expect(line.deps.health.components().find(({ name }) => name === 'watch/pump-1')?.status).toBe('degraded');
  });

  test('a watch that misses single windows stays degraded instead of flickering, and is ok after ten good seconds', async () => {
    const line = await startLine({ watches: { 'pump-1': { window: { maxAge: '500ms' } } } });
    const health = () => line.deps.health.components().find(({ name }) => name === 'watch/pump-1')?.status;
    const seen = [health()];
    for (const vibration of [1, 1, undefined, 1, 1, 1, undefined, 1, 1, 1]) {
      line.pipeline.accept(scan(line.clock.nowMs(), [vibration, 0]));
      await line.clock.advance(1000);
      seen.push(health());
    }
    expect(seen.filter((status, index) => status !== seen[index - 1])).toEqual(['ok', 'degraded']);
    for (let second = 0; second < 10; second += 1) await line.second(1, 0);
    expect(health()).toBe('ok');
  });

  test('a value outside its range is uncertain and enters no window', async () => {
    const line = await startLine({ watches: { 'pump-1': { window: { maxAge: '500ms' } } } });
    await line.second(1, 0);
    await line.second(51, 0);
    expect(line.inference.runs).toHaveLength(0);
    expect(line.verdicts()[0]).toMatchObject({ reason: 'vibration: no good value for 1 s (out-of-range)' });
  });

  test.each([
    ['the host crashed', new OperatingError('host-crashed', 'retry', 'the host crashed')],
    ['a run took too long', new OperatingError('inference-timeout', 'retry', 'no answer within 1000 ms')],
  ])('%s', async (_, failure) => {
    const line = await startLine();
    line.inference.failure = failure;
    await line.second(1, 0);
    await line.second(1, 0);
    expect(line.verdicts()).toEqual([expect.objectContaining({ verdict: 'unknown', reason: failure.message })]);
  });

  test('a model that is away', async () => {
    const line = await startLine();
    await line.second(1, 0);
    line.inference.state = 'quarantined';
    await line.second(1, 0);
    expect(line.verdicts()[0]).toMatchObject({ reason: 'model pump-anomaly is not ready: quarantined' });
  });

  test('a model of another number of tags', async () => {
    const inference = new FakeInferenceHost({ tags: [{ name: 'vibration' }] });
    const line = await startLine({ inference });
    await line.second(1, 0);
    await line.second(1, 0);
    expect(line.verdicts()[0]).toMatchObject({ reason: 'model pump-anomaly@1 sees 1 tags, the watch binds 2' });
  });

  test('one window that the model refuses blinds its own watch only', async () => {
    const watches = { a: {}, b: { tags: ['vibration', 'pressure'] }, c: {} };
    const line = await startLine({ watches });
    line.inference.score = (values) => (values.at(-1) === 13 ? Number.NaN : 0.5);
    for (let second = 0; second < 2; second += 1) {
      line.pipeline.accept(scan(line.clock.nowMs(), [1, 0, 13]));
      await line.clock.advance(1000);
    }
    expect(line.verdicts().map(({ watch, verdict }) => [watch, verdict])).toEqual([
      ['a', 'normal'],
      ['b', 'unknown'],
      ['c', 'normal'],
    ]);
  });

  test('a filling window is announced once, then shown with its progress but not recorded', async () => {
    const line = await startLine();
    await line.second(1, 0);
    expect(line.store.bodies('verdict')).toEqual([
      expect.objectContaining({ verdict: 'unknown', reason: 'window filling, 0 of 2 rows' }),
    ]);
    expect(line.pipeline.watches()[0]?.lastVerdict?.reason).toBe('window filling, 1 of 2 rows');
  });

  test('after a jump of the wall clock the windows restart empty, and subscribers are notified', async () => {
    const line = await startLine();
    for (let second = 0; second < 3; second += 1) await line.second(1, 0);
    line.pipeline.clockJumped(-3_600_000);
    await line.clock.advance(0);
    expect(line.store.bodies('verdict').at(-1)).toMatchObject({
      verdict: 'unknown',
      reason: 'the clock was set back by 3600000 ms: window filling, 0 of 2 rows',
    });
  });
});

describe('when the outbox takes nothing', () => {
  test('the alarm changes in memory, is stored with the next success, and only then announced', async () => {
    const line = await startLine();
    line.store.down = true;
    for (let second = 0; second < 3; second += 1) await line.second(1, 2);
    expect(line.received.some(({ type }) => type === 'alarm')).toBe(false);
    expect(line.deps.health.components().find(({ name }) => name === 'pipeline')).toMatchObject({
      status: 'degraded',
      reason: expect.stringContaining('the disk is gone'),
    });
    line.store.down = false;
    await line.second(1, 2);
    expect(line.store.bodies('alarm')).toEqual([expect.objectContaining({ state: 'unacknowledged' })]);
    expect(line.received.filter(({ type }) => type === 'alarm')).toHaveLength(1);
    expect(await metricValue(line.deps, 'andon_pipeline_records_lost_total{kind="verdict"}')).toBeGreaterThan(0);
    expect(line.deps.health.components().find(({ name }) => name === 'pipeline')?.status).toBe('ok');
  });

  test('a waiting alarm is stored after a delay if no verdict follows', async () => {
    const line = await startLine();
    await line.second(1, 0);
    line.store.down = true;
    line.pipeline.accept(scan(line.clock.nowMs(), [1, 2]));
    await line.clock.advance(100);
    await line.pipeline[Symbol.asyncDispose]();
    line.store.down = false;
    await line.clock.advance(2000);
    expect(line.store.bodies('alarm')).toHaveLength(1);
  });

  test('what waits at a stop is tried once more', async () => {
    const line = await startLine();
    await line.second(1, 0);
    line.store.down = true;
    line.pipeline.accept(scan(line.clock.nowMs(), [1, 2]));
    await line.clock.advance(10);
    line.store.down = false;
    await line.stop();
    expect(line.store.bodies('alarm')).toHaveLength(1);
  });

  test('a verdict that the outbox dropped is not announced', async () => {
    const line = await startLine();
    await line.second(1, 0);
    const received = line.received.length;
    line.store.droppedKinds = ['verdict'];
    await line.second(1, 2);
    await line.second(1, 2);
    expect(line.received.slice(received).map(({ type }) => type)).not.toContain('verdict');
    expect(line.received.slice(received).map(({ type }) => type)).toContain('alarm');
  });

  test('a verdict is stored ahead of the alarm it raises, each in a call of its own', async () => {
    const line = await startLine();
    await line.second(1, 0);
    await line.second(1, 2);
    expect(line.store.appends.slice(-2).map((drafts) => drafts.map(({ kind }) => kind))).toEqual([
      ['verdict'],
      ['alarm'],
    ]);
    expect(line.store.appends.at(-1)?.[0]?.alarm).toMatchObject({ watch: 'pump-1', number: Date.UTC(2026, 0, 1) + 1 });
  });
});

describe('samples for people and uplinks', () => {
  test('changed tags go to subscribers every half second, others do not', async () => {
    const line = await startLine();
    line.pipeline.accept(scan(line.clock.nowMs(), [1, 2]));
    await line.clock.advance(100);
    line.pipeline.accept(scan(line.clock.nowMs(), [1, 2.4]));
    await line.clock.advance(400);
    line.pipeline.accept(scan(line.clock.nowMs(), [3, 2.4]));
    await line.clock.advance(500);
    const tags = line.received.flatMap((event) =>
      event.type === 'tags' ? [event.tags.map(({ tag, value }) => [tag, value])] : [],
    );
    expect(tags).toEqual([
      [
        ['vibration', 1],
        ['current', 2],
      ],
      [['vibration', 3]],
    ]);
  });

  test('sample records hold what changed by its deadband or in quality, and nothing else', async () => {
    const line = await startLine({ sampleRecords: true, watches: {} });
    const atMs = line.clock.nowMs();
    line.pipeline.accept(scan(atMs, [1, 2]));
    line.pipeline.accept(scan(atMs, [1, 2.4]));
    line.pipeline.accept(scan(atMs, [1, 2.6]));
    line.pipeline.accept(scan(atMs, [undefined, 2.6]));
    await line.clock.advance(0);
    expect(line.store.bodies('sample')).toEqual([
      { values: { vibration: [1, 'good'], current: [2, 'good'] } },
      { values: { current: [2.6, 'good'] } },
      { values: { vibration: [null, 'bad'] } },
    ]);
  });

  test('a board shows a tag that was never read as such', async () => {
    const line = await startLine();
    expect(line.pipeline.tags()[2]).toMatchObject({
      tag: 'pressure',
      value: undefined,
      quality: 'bad',
      reason: 'not-read-yet',
    });
  });

  test('samples of an unknown tag are counted and ignored', async () => {
    const line = await startLine();
    const batch = scan(line.clock.nowMs(), [1, 0]);
    batch.tags[1] = 99;
    line.pipeline.accept(batch);
    expect(await metricValue(line.deps, 'andon_samples_left_out_total')).toBe(1);
    expect(await metricValue(line.deps, 'andon_samples_total{quality="good"}')).toBe(1);
  });
});

describe('start and stop', () => {
  test('after a stop no timer is left and nothing more is taken', async () => {
    const line = await startLine();
    for (let second = 0; second < 3; second += 1) await line.second(1, 0);
    line.pipeline.accept(scan(line.clock.nowMs(), [1, 0]));
    await line.stop();
    const { length } = line.store.drafts;
    line.pipeline.accept(scan(line.clock.nowMs(), [1, 5]));
    await line.clock.advance(5000);
    expect(line.clock.timers).toBe(0);
    expect(line.store.drafts).toHaveLength(length);
  });

  test('stopping twice, or before the start, is fine', async () => {
    const line = await startLine({ store: new FakeRecordStore() });
    await line.stop();
    await line.stop();
    expect(line.clock.timers).toBe(0);
  });
});
