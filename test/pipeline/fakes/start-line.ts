import { type LiveEvent, LiveEvents } from '../../../src/contracts/live-events.ts';
import { BAD, GOOD, type QualityReason } from '../../../src/domain/sample/quality.ts';
import { SampleBatch } from '../../../src/domain/sample/sample-batch.ts';
import type { Tag } from '../../../src/domain/sample/tag.ts';
import { limitsSchema } from '../../../src/pipeline/limit-config.ts';
import { limitAlarms } from '../../../src/pipeline/limit-monitor.ts';
import { watchAlarms } from '../../../src/pipeline/verdict-alarm.ts';
import { AlarmService } from '../../../src/pipeline/alarm-service.ts';
import type { SampleHistory } from '../../../src/contracts/sample-history.ts';
import { DerivedTags } from '../../../src/pipeline/derived-tags.ts';
import { Pipeline } from '../../../src/pipeline/pipeline.ts';
import { Recorder } from '../../../src/pipeline/recorder.ts';
import type { Rollouts } from '../../../src/rollout/rollouts.ts';
import { type WatchConfig, watchSchema, withModel } from '../../../src/pipeline/watch-config.ts';
import type { Deps } from '../../../src/platform/deps.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { testDeps } from '../../support/test-deps.ts';
import { FakeInferenceHost } from '../../support/fake-inference-host.ts';
import { FakeRecordStore } from './fake-record-store.ts';

const tagsOfLine: readonly Tag[] = [
  { name: 'vibration', unit: 'g', range: [0, 50], deadband: 0, number: 0, source: 'plc-1' },
  { name: 'current', unit: 'A', range: undefined, deadband: 0.5, number: 1, source: 'plc-1' },
  { name: 'pressure', unit: 'bar', range: undefined, deadband: 0, number: 2, source: 'cell' },
];

export type LineOptions = {
  /** Entries of `watches:`; default: one named pump-1. */
  readonly watches?: Readonly<Record<string, object>>;
  /** Entries of `limits:`; default: none. */
  readonly limits?: Readonly<Record<string, object>>;
  readonly sampleRecords?: boolean;
  readonly history?: SampleHistory;
  /** Entries of `derived:`. */
  readonly derived?: Readonly<Record<string, { readonly expr: string }>>;
  readonly store?: FakeRecordStore;
  readonly inference?: FakeInferenceHost;
  /** Rollouts of other versions than the watches' own. */
  readonly rollouts?: (watches: ReadonlyMap<string, WatchConfig>, inference: FakeInferenceHost, deps: Deps) => Rollouts;
  /** Wall clock at the start; default: the beginning of 2026. */
  readonly startMs?: number;
};

/** A pipeline on fakes and a clock stepped by hand, started. Score: the last cell of a window, abnormal above 1. */
export async function startLine(options: LineOptions = {}) {
  const clock = new FakeClock(options.startMs ?? Date.UTC(2026, 0, 1));
  const deps = testDeps(clock);
  const store = options.store ?? new FakeRecordStore();
  const inference = options.inference ?? new FakeInferenceHost();
  const events = new LiveEvents();
  const received: LiveEvent[] = [];
  events.subscribe((event) => received.push(event));
  const entries = Object.entries(options.watches ?? { 'pump-1': { alarm: {} } });
  const watches = new Map(
    entries.map(([id, entry]) => [
      id,
      withModel(id, watchSchema.parse({ model: 'pump-anomaly', tags: ['vibration', 'current'], ...entry })),
    ]),
  );
  const limits = Object.fromEntries(
    Object.entries(options.limits ?? {}).map(([tag, entry]) => [tag, limitsSchema.parse(entry)]),
  );
  const recorder = new Recorder({ records: store, deps });
  const alarms = new AlarmService({
    definitions: [...watchAlarms(watches), ...limitAlarms(limits)],
    records: store,
    recorder,
    events,
    deps,
  });
  const derived = options.derived ?? {};
  const tags = [
    ...tagsOfLine,
    ...Object.keys(derived).map((name, index) => ({
      name,
      unit: '',
      range: undefined,
      deadband: 0,
      number: tagsOfLine.length + index,
      source: 'derived',
    })),
  ];
  const pipeline = new Pipeline({
    tags,
    derived: new DerivedTags(derived, tags),
    watches,
    limits,
    inference,
    rollouts: options.rollouts?.(watches, inference, deps),
    recorder,
    history: options.history,
    events,
    sampleRecords: options.sampleRecords ?? false,
    alarms,
    deps,
  });
  recorder.start();
  await alarms.start();
  pipeline.start();
  await clock.advance(0);

  return {
    clock,
    deps,
    store,
    inference,
    events,
    received,
    recorder,
    alarms,
    pipeline,
    /** One good sample of both tags now; then a second passes. */
    async second(vibration: number, current: number): Promise<void> {
      pipeline.accept(scan(clock.nowMs(), [vibration, current]));
      await clock.advance(1000);
    },
    /** The verdicts of due windows, without the one that says that the window fills. */
    verdicts: () => store.bodies('verdict').filter(({ reason }) => !String(reason).includes('window filling')),
    async stop(): Promise<void> {
      await pipeline[Symbol.asyncDispose]();
      await alarms[Symbol.asyncDispose]();
      await recorder[Symbol.asyncDispose]();
    },
  };
}

/** A batch with the values of tags 0, 1, …; undefined is bad with `reason`. */
export function scan(
  timeMs: number,
  values: readonly (number | undefined)[],
  reason: QualityReason = 'timeout',
): SampleBatch {
  const batch = new SampleBatch(values.length);
  for (const [tag, value] of values.entries())
    batch.add(tag, value ?? Number.NaN, timeMs, value === undefined ? BAD : GOOD, reason);
  return batch;
}
