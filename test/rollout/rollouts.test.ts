import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OperatingError } from '../../src/platform/errors.ts';
import { metricValue } from '../support/test-deps.ts';
import { FakeInferenceHost } from '../support/fake-inference-host.ts';
import { type LineOptions, startLine } from '../pipeline/fakes/start-line.ts';
import { type FakeLedger, RolloutBench } from './rollout-bench.ts';

/*
 * A watch of the model pump-anomaly, whose version 3 is active unless a test says otherwise, and version 4, which is
 * tried. A window's score is its last cell for both, abnormal above 1, unless a test says otherwise.
 */
const crash = new OperatingError('host-crashed', 'retry', 'The inference host ended');
const shadowed = { 'pump-1': { alarm: {}, shadow: 'pump-anomaly@4' } };
const canaried = { 'pump-1': { alarm: {}, canary: 'pump-anomaly@4' } };

type Versions = { readonly active: number; readonly previous?: number };

async function startRollout(
  watches: LineOptions['watches'],
  versions: Versions = { active: 3 },
  prepare?: (ledger: FakeLedger) => void,
) {
  const bench = new RolloutBench(versions, prepare);
  const inference = new FakeInferenceHost({ version: versions.active });
  const line = await startLine({ ...(watches === undefined ? {} : { watches }), inference, rollouts: bench.create });
  const { rollouts, ledger } = bench;
  if (rollouts === undefined || ledger === undefined) throw new Error('The line has no rollouts');
  await rollouts.start();
  // With one row more, every second from now on completes a window.
  await line.second(0, 0);
  return {
    ...line,
    bench,
    rollouts,
    ledger,
    candidate: bench.models.of('pump-anomaly@4'),
    /** `count` seconds, each with a current as `value` says. */
    run: async (count: number, value: (second: number) => number = () => 0): Promise<void> => {
      for (let second = 0; second < count; second += 1) await line.second(0, value(second));
    },
    health: (name: string) => line.deps.health.components().find((component) => component.name === name),
    report: () => rollouts.compare('pump-anomaly').rollouts[0],
    versions: () => line.verdicts().map(({ version }) => version),
    end: async (): Promise<void> => {
      await line.stop();
      await rollouts[Symbol.asyncDispose]();
    },
  };
}

describe('a shadow', () => {
  test('judges the same windows, and no subscriber, record or alarm knows of it', async () => {
    const { candidate, run, verdicts, received, report, store, end } = await startRollout(shadowed);
    candidate.score = (values) => (values.at(-1) ?? 0) + 5;
    await run(6);
    expect(report()?.summary).toMatchObject({ windows: 6, agreement: 0, table: { onlyCandidate: 6 } });
    expect(verdicts().map(({ version, verdict }) => [version, verdict])).toEqual(
      Array.from({ length: 6 }, () => [3, 'normal']),
    );
    expect(store.bodies('alarm')).toEqual([]);
    expect(received.filter((event) => event.type === 'verdict' && event.verdict.judgedBy?.version === 4)).toEqual([]);
    expect(report()?.summary.disagreements.at(-1)).toMatchObject({
      candidate: { score: 5, verdict: 'abnormal' },
      incumbent: { score: 0, verdict: 'normal' },
    });
    await end();
  });

  test('that hangs holds up no verdict; what falls due meanwhile is skipped and counted', async () => {
    const { candidate, run, clock, verdicts, report, deps, end } = await startRollout(shadowed);
    candidate.held = true;
    await run(10);
    expect(verdicts()).toHaveLength(10);
    // One run is under way and one window waits for it.
    expect(candidate.runs).toHaveLength(1);
    candidate.release();
    await clock.advance(0);
    expect(report()?.summary.failures.candidate.skipped).toBe(8);
    expect(
      await metricValue(deps, 'andon_rollout_failures_total{watch="pump-1",side="candidate",failure="skipped"}'),
    ).toBe(8);
    expect(report()?.stopped).toBeUndefined();
    await end();
  });

  test('that crashes is stopped and remembered, and the incumbent notices nothing', async () => {
    const { candidate, run, verdicts, ledger, bench, report, health, end } = await startRollout(shadowed);
    await run(2);
    candidate.failure = crash;
    await run(1);
    expect(report()?.stopped).toMatchObject({ cause: 'crash' });
    expect(ledger.rejected).toMatchObject([{ version: 4, reason: 'it crashed once within 1h' }]);
    expect(ledger.active).toBe(3);
    expect(bench.models.wanted).toEqual([]);
    expect(health('rollout/pump-1')).toMatchObject({ status: 'degraded' });
    const runs = candidate.runs.length;
    await run(3);
    expect(candidate.runs).toHaveLength(runs);
    expect(verdicts().map(({ verdict }) => verdict)).toEqual(Array.from({ length: 6 }, () => 'normal'));
    await end();
  });

  test('may alarm as often as it likes: to show that is what it is there for', async () => {
    const { candidate, run, report, end } = await startRollout(shadowed);
    candidate.score = () => 9;
    await run(40);
    expect(report()?.stopped).toBeUndefined();
    expect(report()?.summary.alarmRate).toEqual({ candidate: 1, incumbent: 0 });
    expect(report()?.conclusion).toContain('pump-anomaly@4 found 100.0 % of the windows abnormal');
    await end();
  });

  test('keeps its figures across a restart', async () => {
    const { run, bench, end } = await startRollout(shadowed);
    await run(5);
    await end();
    expect([...bench.tallies]).toMatchObject([
      ['pump-1: shadow pump-anomaly@4 beside 3', { table: { bothNormal: 5 } }],
    ]);
  });
});

describe('a canary', () => {
  test('decides, and its alarm is a real one', async () => {
    const { candidate, run, versions, store, end } = await startRollout(canaried);
    candidate.score = () => 9;
    await run(2);
    expect(versions()).toEqual([4, 4]);
    expect(store.bodies('alarm')).toHaveLength(1);
    await end();
  });

  test.each([
    ['gives NaN', (candidate: FakeInferenceHost) => (candidate.score = () => Number.NaN)],
    ['crashes', (candidate: FakeInferenceHost) => (candidate.failure = crash)],
    ['is not loaded', (candidate: FakeInferenceHost) => (candidate.state = 'loading')],
    ['hangs', (candidate: FakeInferenceHost) => (candidate.held = true)],
  ])('that %s loses no window: the incumbent decides that very window', async (_, breaks) => {
    const { candidate, run, verdicts, end } = await startRollout(canaried);
    await run(1);
    breaks(candidate);
    await run(1);
    expect(verdicts().map(({ version, verdict }) => [version, verdict])).toEqual([
      [4, 'normal'],
      [3, 'normal'],
    ]);
    candidate.release();
    await end();
  });

  test('begins and ends without a verdict that overtakes another, for any windows in progress', async () => {
    const { inference, candidate, ledger, rollouts, run, clock, versions, received, end } = await startRollout(
      canaried,
      {
        active: 4,
      },
    );
    inference.held = true;
    await run(1);
    // Version 3 is active now, and version 4 is a canary next to it: it finishes before the window before it does.
    ledger.activate(3);
    rollouts.review();
    await clock.advance(0);
    inference.manifest = { ...inference.manifest, version: 3 };
    await run(1);
    expect(versions()).toEqual([]);
    inference.release();
    await clock.advance(0);
    expect(versions()).toEqual([4, 4]);
    candidate.held = true;
    await run(1);
    ledger.activate(4);
    rollouts.review();
    await clock.advance(0);
    await run(1);
    candidate.release();
    await clock.advance(0);
    const times = received.flatMap((event) => (event.type === 'verdict' ? [event.verdict.timestampMs] : []));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(versions()).toHaveLength(4);
    await end();
  });

  test('is overtaken by none of its own verdicts while a stand-in is waited for', async () => {
    const { candidate, inference, run, clock, versions, received, end } = await startRollout(canaried);
    await run(1);
    inference.held = true;
    candidate.score = () => Number.NaN;
    await run(1);
    candidate.score = () => 0;
    await run(1);
    expect(versions()).toEqual([4]);
    inference.release();
    await clock.advance(0);
    expect(versions()).toEqual([4, 3, 4]);
    const times = received.flatMap((event) => (event.type === 'verdict' ? [event.verdict.timestampMs] : []));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    await end();
  });

  test('that keeps failing is stopped, and the watch is back with the active version', async () => {
    const { candidate, run, versions, ledger, health, bench, deps, end } = await startRollout(canaried);
    candidate.score = () => Number.NaN;
    await run(2);
    candidate.score = () => 0;
    await run(3);
    expect(versions()).toEqual([3, 3, 3, 3, 3]);
    expect(ledger.rejected).toMatchObject([{ version: 4 }]);
    expect(ledger.active).toBe(3);
    expect(bench.models.wanted).toEqual([]);
    expect(health('rollout/pump-1')?.reason).toContain('it returned no finite score 2 times within 1h');
    const stopped = 'andon_rollout_stopped_total{watch="pump-1",kind="canary",cause="invalid-output"}';
    expect(await metricValue(deps, stopped)).toBe(1);
    await end();
  });

  test('is not blamed for what the incumbent fails on as well', async () => {
    const { candidate, inference, run, report, end } = await startRollout(canaried);
    candidate.score = () => Number.NaN;
    inference.score = () => Number.NaN;
    await run(6);
    expect(report()?.stopped).toBeUndefined();
    expect(report()?.summary.failures).toMatchObject({ candidate: { invalid: 6 }, incumbent: { invalid: 6 } });
    await end();
  });

  test('that alarms too much is stopped once both have judged enough windows', async () => {
    const { candidate, run, versions, report, end } = await startRollout(canaried);
    candidate.score = () => 9;
    await run(13);
    expect(report()?.stopped).toMatchObject({ cause: 'alarm-rate' });
    expect(versions()).toEqual([...Array.from({ length: 9 }, () => 4), 3, 3, 3, 3]);
    await end();
  });

  test('that was rejected before is not tried again after a restart', async () => {
    const { run, versions, candidate, rollouts, health, end } = await startRollout(
      canaried,
      { active: 3 },
      (ledger) => {
        ledger.rejected = [{ version: 4, reason: 'it crashed once within 1h', timestampMs: 0 }];
      },
    );
    await run(3);
    expect(candidate.runs).toEqual([]);
    expect(versions()).toEqual([3, 3, 3]);
    expect(health('rollout/pump-1')).toMatchObject({ status: 'degraded' });
    expect(rollouts.compare('pump-anomaly').obstacles).toMatchObject([{ watch: 'pump-1' }]);
    await end();
  });

  test('of one watch leaves the verdicts of the others to the active version', async () => {
    const { run, verdicts, end } = await startRollout({ ...canaried, 'pump-2': { alarm: {} } });
    await run(2);
    const of = (watch: string) =>
      verdicts().flatMap((verdict) => (verdict['watch'] === watch ? [verdict['version']] : []));
    expect([of('pump-1'), of('pump-2')]).toEqual([
      [4, 4],
      [3, 3],
    ]);
    await end();
  });
});

describe('a version that was made active', () => {
  const watches = { 'pump-1': { alarm: {} } };
  const versions = { active: 4, previous: 3 };

  test('is on probation: it decides, the one before observes until its time is over', async () => {
    const { run, bench, clock, report, versions: judged, end } = await startRollout(watches, versions);
    expect(bench.models.wanted).toEqual(['pump-anomaly@3']);
    await run(3);
    expect(judged()).toEqual([4, 4, 4]);
    expect(report()?.summary.table).toMatchObject({ bothNormal: 3 });
    await clock.advance(3_600_000);
    expect(bench.models.wanted).toEqual([]);
    expect(report()).toBeUndefined();
    await end();
  });

  test('that crashes is rolled back, and from that moment the one before decides', async () => {
    const {
      run,
      inference,
      ledger,
      clock,
      bench,
      versions: judged,
      health,
      end,
    } = await startRollout(watches, versions);
    await run(1);
    inference.failure = crash;
    await run(1);
    expect(ledger).toMatchObject({ active: 3, previous: 4 });
    inference.failure = undefined;
    // Version 4 is still the one in the watches' host: its judgements no longer count.
    inference.score = () => 9;
    await run(2);
    expect(judged()).toEqual([4, 3, 3, 3]);
    expect(bench.models.wanted).toEqual(['pump-anomaly@3']);
    inference.manifest = { ...inference.manifest, version: 3 };
    inference.score = () => 0;
    await run(2);
    await clock.advance(1000);
    expect(judged()).toEqual([4, 3, 3, 3, 3, 3, 3]);
    expect(bench.models.wanted).toEqual([]);
    expect(health('rollout/pump-1')?.reason).toContain('was stopped because it crashed once');
    await end();
  });

  test('that is bad no longer decides if its rollback cannot be written', async () => {
    const { run, inference, ledger, clock, versions: judged, end } = await startRollout(watches, versions);
    ledger.readOnly = true;
    inference.failure = crash;
    await run(1);
    inference.failure = undefined;
    await run(3);
    await clock.advance(10);
    expect(ledger.active).toBe(4);
    expect(judged()).toEqual([3, 3, 3, 3]);
    await end();
  });

  test('that is pinned is not rolled back', async () => {
    const { run, inference, ledger, versions: judged, health, end } = await startRollout(watches, versions);
    await run(1);
    ledger.pinned = true;
    inference.failure = crash;
    await run(1);
    inference.failure = undefined;
    await run(2);
    expect(ledger.active).toBe(4);
    expect(judged()).toEqual([4, 3, 4, 4]);
    expect(health('rollout/pump-1')?.reason).toContain('but is still active: the model is pinned');
    await end();
  });

  test('whose rollback was cut off by a power cut is rolled back before it decides anything', async () => {
    const { ledger, end } = await startRollout(watches, versions, (before) => {
      before.rejected = [{ version: 4, reason: 'it crashed once', timestampMs: before.activatedMs + 1 }];
    });
    expect(ledger.active).toBe(3);
    await end();
  });

  test('of a lower number does not start probation', async () => {
    const { bench, end } = await startRollout(watches, { active: 3, previous: 4 });
    expect(bench.models.wanted).toEqual([]);
    await end();
  });

  test('is not on probation on a watch that pins its version', async () => {
    const { bench, end } = await startRollout({ 'pump-1': { model: 'pump-anomaly@4', alarm: {} } }, versions);
    expect(bench.models.wanted).toEqual([]);
    await end();
  });
});

/*
 * For any fault of a candidate and any time of its answers: every window of a watch has one verdict, and those of a
 * watch come in order of time.
 */
test('no window is lost and none overtakes another, for any fault of the candidate', async () => {
  const behaviour = fc.constantFrom('answers', 'crashes', 'nan', 'hangs', 'releases', 'loads', 'incumbent hangs');
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<LineOptions['watches']>(shadowed, canaried, { 'pump-1': { alarm: {} } }),
      fc.array(behaviour, { minLength: 1, maxLength: 12 }),
      async (watches, story) => {
        const { candidate, bench, inference, run, received, end } = await startRollout(watches, {
          active: 3,
          previous: 2,
        });
        const others = [candidate, bench.models.of('pump-anomaly@2')];
        for (const act of story) {
          for (const host of others) {
            host.failure = act === 'crashes' ? crash : undefined;
            host.score = act === 'nan' ? () => Number.NaN : () => 0;
            host.state = act === 'loads' ? 'loading' : 'ready';
            if (act === 'hangs') host.held = true;
            else host.release();
          }
          if (act === 'incumbent hangs') inference.held = true;
          else inference.release();
          inference.score = act === 'nan' ? () => Number.NaN : () => 0;
          await run(1);
        }
        for (const host of [...others, inference]) host.release();
        await end();
        const times = received.flatMap((event) =>
          event.type === 'verdict' && event.verdict.reason?.includes('filling') !== true
            ? [event.verdict.timestampMs]
            : [],
        );
        expect(times).toEqual(story.map((_, second) => (times[0] ?? 0) + second * 1000));
      },
    ),
    { numRuns: 60 },
  );
});
