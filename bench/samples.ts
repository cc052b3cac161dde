import * as ort from 'onnxruntime-node';
import { inferenceHostEntry } from '../src/platform/entries.ts';
import { LiveEvents } from '../src/contracts/live-events.ts';
import type { ModelReference } from '../src/domain/model/model-reference.ts';
import { SampleBatch } from '../src/domain/sample/sample-batch.ts';
import { modelsConfigSchema } from '../src/models/store/models-config.ts';
import { SupervisedInferenceHost } from '../src/runtime/supervised-host.ts';
import { SampleHistoryStore } from '../src/outbox/sample-history.ts';
import { watchAlarms } from '../src/pipeline/verdict-alarm.ts';
import { AlarmService } from '../src/pipeline/alarm-service.ts';
import { Pipeline } from '../src/pipeline/pipeline.ts';
import { Recorder } from '../src/pipeline/recorder.ts';
import { watchSchema, withModel } from '../src/pipeline/watch-config.ts';
import type { Deps } from '../src/platform/deps.ts';
import { bareOutbox, startHistory, startOutbox } from './outbox-rows.ts';
import { benchDeps, rateOfSteps } from './part-rate.ts';
import type { PartOptions } from './part-options.ts';
import { MODEL, TAGS, WATCHED_TAGS, watchOf } from './workload.ts';
import { verdictDrafts } from './verdict-drafts.ts';

/** Number of machines whose scans end in the same turn. */
const MACHINES = 64;
/** Most records that wait for their commit: enough to keep the storage thread busy. */
const WAITING_MAX = 4000;

/** Measures samples per second through quality gate, windows, host, alarms, history and outbox, without a network. */
export async function samplesAgent({ folder, modelDirectory, measureMs }: PartOptions): Promise<number> {
  const deps = benchDeps();
  await using stack = new AsyncDisposableStack();
  const outbox = stack.use(await startOutbox(folder, [], deps));
  const tags = Array.from({ length: MACHINES * TAGS }, (_, number) => ({
    number,
    name: `t${number}`,
    unit: 'bar',
    range: [-1e9, 1e9] as const,
    deadband: 0,
    source: 'bench',
  }));
  const watches = new Map(
    Array.from({ length: MACHINES }, (_, machine) => [
      watchOf(machine + 1),
      withModel(
        watchOf(machine + 1),
        watchSchema.parse({
          model: MODEL,
          tags: tags.slice(machine * TAGS, machine * TAGS + WATCHED_TAGS).map(({ name }) => name),
          window: { step: 'scan' },
          alarm: { onDelay: '1s' },
        }),
      ),
    ]),
  );
  const watched = new Set([...watches.values()].flatMap((watch) => watch.tags));
  const storage = stack.use(startHistory(folder, deps));
  const history = stack.use(
    new SampleHistoryStore({ storage, tags, keeps: ({ name }) => watched.has(name), lost: () => undefined, deps }),
  );
  const inference = stack.use(startHost(modelDirectory, deps));
  await modelReady(inference, deps);
  const events = new LiveEvents();
  const recorder = stack.use(new Recorder({ records: outbox, deps }));
  const alarms = stack.use(
    new AlarmService({ definitions: watchAlarms(watches), records: outbox, recorder, events, deps }),
  );
  const pipeline = stack.use(
    new Pipeline({
      tags,
      watches,
      inference,
      rollouts: undefined,
      recorder,
      history,
      events,
      sampleRecords: false,
      alarms,
      deps,
    }),
  );
  await alarms.start();
  recorder.start();
  pipeline.start();

  const count = { fed: 0, stored: 0 };
  events.subscribe(({ type }) => (count.stored += type === 'verdict' ? 1 : 0));
  const batches = Array.from({ length: MACHINES }, () => new SampleBatch(TAGS));
  let value = 0;
  return await rateOfSteps(async () => {
    while (count.fed - count.stored > WAITING_MAX) await new Promise((resolve) => setImmediate(resolve));
    value += 1;
    const timeMs = deps.clock.nowMs();
    for (const [machine, batch] of batches.entries()) {
      fill(batch, machine, value, timeMs);
      pipeline.accept(batch);
    }
    count.fed += MACHINES;
    // The windows of these scans are one run. The next scans follow after it, so that no window is superseded.
    await inference.settle();
    return MACHINES * TAGS;
  }, measureMs);
}

/**
 * Minimal cost of the same samples: a copy into a window, one run for each machine in the same thread, and one row
 * for each with better-sqlite3, all 64 in a transaction.
 */
export async function samplesLimit({ folder, modelFile, measureMs }: PartOptions): Promise<number> {
  const session = await ort.InferenceSession.create(modelFile, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const { write } = bareOutbox(folder, verdictDrafts(MACHINES));
  const batch = new SampleBatch(TAGS);
  let value = 0;
  return rateOfSteps(async () => {
    value += 1;
    for (let machine = 0; machine < MACHINES; machine += 1) {
      fill(batch, machine, value, Date.now());
      const window = new ort.Tensor('float32', Float32Array.from(batch.values.subarray(0, WATCHED_TAGS)), [
        1,
        1,
        WATCHED_TAGS,
      ]);
      await session.run({ window });
    }
    write();
    return MACHINES * TAGS;
  }, measureMs);
}

function fill(batch: SampleBatch, machine: number, value: number, timeMs: number): void {
  batch.clear();
  for (let tag = 0; tag < TAGS; tag += 1) batch.add(machine * TAGS + tag, value + tag / 7, timeMs, 0, 'none');
}

function startHost(directory: string, deps: Deps): SupervisedInferenceHost {
  const host = new SupervisedInferenceHost({
    entry: inferenceHostEntry,
    config: modelsConfigSchema.parse({ directory }),
    models: [{ name: MODEL, version: undefined }],
    deps,
  });
  host.start();
  return host;
}

async function modelReady(host: SupervisedInferenceHost, deps: Deps): Promise<void> {
  const model: ModelReference = { name: MODEL, version: undefined };
  while (host.ready(model) === undefined) await new Promise<void>((resolve) => deps.clock.setTimer(resolve, 10));
}
