import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import type { RunPriority, ServedModel, Tensors } from '../../src/contracts/inference.ts';
import type { Judgement } from '../../src/contracts/window-models.ts';
import { OperatingError } from '../../src/platform/errors.ts';
import { Scheduler } from '../../src/runtime/queue/scheduler.ts';
import type { HostJob, QueuedModel, RunSession, Worker } from '../../src/runtime/queue/worker.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { manifestOf } from '../support/fake-inference-host.ts';
import { testDeps } from '../support/test-deps.ts';

const serving = { queueMax: 8, batchMax: 8, delayMsMax: 0, deadlineMs: 1000 };
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The part of a model that the scheduler uses. Client requests can join, and have the rows of their input. */
function modelNamed(label: string, limits: Partial<typeof serving> = {}): QueuedModel {
  const rowsOf = ({ x }: Tensors, priority: RunPriority) => ({
    rows: x?.dims[0] ?? 1,
    joinKey: priority === 'client' ? 'row' : undefined,
  });
  return {
    label,
    use: { serving: { ...serving, ...limits }, rowsOf, noteExecuted: () => undefined },
  } as unknown as QueuedModel;
}

const served: ServedModel = {
  manifest: manifestOf(),
  inputs: [],
  outputs: [],
  judgedBy: { model: 'pump-anomaly', version: 1, provider: 'cpu', fallbacks: [] },
};

type Taken = { readonly kind: 'run'; readonly model: QueuedModel; readonly rows: number } | HostJob<QueuedModel>;

/** Begins one job each time that a test takes one. */
class StepWorker implements Worker<QueuedModel> {
  away = new Set<QueuedModel>();
  failsAsBatch = false;
  #jobs = 0;
  #taken: Taken | undefined;

  jobsMax(): number {
    return this.#jobs;
  }

  isReady(model: QueuedModel): boolean {
    return !this.away.has(model);
  }

  notReady({ label }: QueuedModel): OperatingError {
    return new OperatingError('model-not-ready', 'retry', `${label} is away`);
  }

  session(model: QueuedModel): RunSession {
    return {
      served,
      run: async ({ inputs }) => {
        const rows = inputs['x']?.dims[0] ?? 0;
        this.#begun({ kind: 'run', model, rows });
        if (this.failsAsBatch && rows > 1) throw new OperatingError('model-output-invalid', 'reject', 'NaN');
        return { outputs: { y: { type: 'float32', dims: [rows], data: new Float32Array(rows) } }, runMs: 1 };
      },
      ended: () => undefined,
    };
  }

  passOn(): void {}

  async do(job: HostJob<QueuedModel>): Promise<void> {
    this.#begun(job);
  }

  take(scheduler: Scheduler): Taken | undefined {
    this.#taken = undefined;
    this.#jobs = Number.POSITIVE_INFINITY;
    scheduler.pump();
    this.#jobs = 0;
    return this.#taken;
  }

  #begun(job: Taken): void {
    this.#jobs = 0;
    this.#taken = job;
  }
}

function startScheduler(watchRunsMax = 8) {
  const clock = new FakeClock();
  const worker = new StepWorker();
  const scheduler = new Scheduler({ worker, watchRunsMax, deps: testDeps(clock) });
  const take = () => worker.take(scheduler);
  const run = (model: QueuedModel, priority: RunPriority, rows = 1) => {
    const inputs: Tensors = { x: { type: 'float32', dims: [rows], data: new Float32Array(rows) } };
    const queuedMs = clock.monotonicMs();
    const outcome = scheduler.run({ model, priority, inputs, specs: served.inputs, queuedMs }).then(
      () => 'answered',
      (error: unknown) => (error instanceof OperatingError ? `${error.code}: ${error.message}` : String(error)),
    );
    return { outcome };
  };
  /** Rows of the next run; 0 if none can begin. */
  const takeRows = () => {
    const job = take();
    return job?.kind === 'run' ? job.rows : 0;
  };
  /** Returns `run a`, `load b`, … until no job can begin. */
  const drained = () => {
    const done: string[] = [];
    for (let job = take(); job !== undefined; job = take())
      done.push('model' in job ? `${job.kind} ${job.model.label}` : job.kind);
    return done;
  };
  return { clock, worker, scheduler, run, take, takeRows, drained };
}

describe('runs that wait for a host', () => {
  test('clients whose batch failed run alone, or are rejected if their model was unloaded meanwhile', async () => {
    const { worker, scheduler, run, takeRows } = startScheduler();
    const model = modelNamed('m');
    const outcomes = [run(model, 'client').outcome, run(model, 'client').outcome];
    worker.failsAsBatch = true;
    expect(takeRows()).toBe(2);
    await turn();
    expect([takeRows(), takeRows(), takeRows()]).toEqual([1, 1, 0]);
    expect(await Promise.all(outcomes)).toEqual(['answered', 'answered']);

    const unloaded = [run(model, 'client').outcome, run(model, 'client').outcome];
    expect(takeRows()).toBe(2);
    scheduler.reject(model, new Error('unloaded'));
    await turn();
    expect(scheduler.runs).toBe(0);
    expect(await Promise.all(unloaded)).toEqual(Array(2).fill("model-not-ready: Model 'm' is no longer loaded"));
  });

  test('a run whose model is not ready delays no other run, and runs older than a load go before it', async () => {
    const { clock, worker, scheduler, run, take, drained } = startScheduler();
    const [quick, slow] = [modelNamed('quick', { batchMax: 1 }), modelNamed('slow')];
    worker.away.add(quick).add(slow);
    run(slow, 'watch');
    run(quick, 'watch');
    run(quick, 'client');
    scheduler.hostLost();
    await clock.advance(5);
    scheduler.add({ kind: 'load', model: quick });
    scheduler.add({ kind: 'load', model: slow });
    run(quick, 'watch');
    await clock.advance(1);
    run(quick, 'client');
    expect(take()).toMatchObject({ kind: 'load', model: quick });
    worker.away.delete(quick);
    expect(drained()).toEqual(['run quick', 'run quick', 'load slow', 'run quick', 'run quick']);
    worker.away.delete(slow);
    expect(drained()).toEqual(['run slow']);
  });

  test('no client request is due while its model is not ready', () => {
    const { worker, run, take } = startScheduler();
    const model = modelNamed('m');
    worker.away.add(model);
    run(model, 'client');
    expect(take()).toBeUndefined();
    worker.away.delete(model);
    expect(take()).toMatchObject({ kind: 'run', model });
  });

  test('waiting requests are rejected once at the deadline of their model, and the others keep waiting', async () => {
    const { clock, worker, scheduler, run } = startScheduler();
    const [hasty, patient] = [modelNamed('hasty', { deadlineMs: 100 }), modelNamed('patient')];
    worker.away.add(patient);
    const early = [run(hasty, 'watch').outcome, run(hasty, 'client').outcome];
    const late = run(patient, 'watch').outcome;
    await clock.advance(99);
    expect(scheduler.runs).toBe(3);
    await clock.advance(1);
    expect(await Promise.all(early)).toEqual(Array(2).fill('inference-timeout: Waited 100 ms behind other runs'));
    expect(scheduler.runs).toBe(1);
    await clock.advance(900);
    expect(await late).toBe('model-not-ready: Waited 1000 ms. patient is away');
    expect(scheduler.runs).toBe(0);
  });

  test('a lost host takes loads, pings and unloads along, and no run', () => {
    const { scheduler, run, drained } = startScheduler();
    const model = modelNamed('m');
    const unloaded = vi.fn();
    scheduler.add({ kind: 'load', model });
    scheduler.add({ kind: 'ping' });
    scheduler.add({ kind: 'unload', key: 'other', host: {}, done: unloaded });
    run(model, 'watch');
    expect(scheduler.activity).toBe('loading');
    scheduler.hostLost();
    expect(unloaded).toHaveBeenCalledOnce();
    expect(scheduler.activity).toBe('idle');
    expect(drained()).toEqual(['run m']);
  });

  test('requests that were to go together go alone once another version has taken over', () => {
    const { scheduler, run, drained } = startScheduler();
    const model = modelNamed('m');
    for (let count = 0; count < 3; count += 1) run(model, 'client');
    scheduler.takeRuns(model, () => false);
    expect(drained()).toEqual(['run m', 'run m', 'run m']);
  });

  test('a batch has at most the rows of its model, the oldest first, and a request that does not fit waits', () => {
    const { run, takeRows } = startScheduler();
    const model = modelNamed('m', { batchMax: 4 });
    for (const rows of [3, 2, 1, 4]) run(model, 'client', rows);
    expect([takeRows(), takeRows(), takeRows(), takeRows()]).toEqual([3 + 1, 2, 4, 0]);
  });

  test('a full batch is due immediately; another one when its oldest request has waited for the delay', async () => {
    const { clock, worker, run, takeRows } = startScheduler();
    const model = modelNamed('m', { batchMax: 2, delayMsMax: 50 });
    run(model, 'client');
    await clock.advance(10);
    run(model, 'client');
    expect(takeRows()).toBe(2);
    run(model, 'client');
    expect(takeRows()).toBe(0);
    const begun = vi.spyOn(worker, 'session');
    vi.spyOn(worker, 'jobsMax').mockReturnValue(1);
    await clock.advance(49);
    expect(begun).not.toHaveBeenCalled();
    await clock.advance(1);
    expect(begun).toHaveBeenCalledOnce();
  });

  test('more runs than the limits allow are refused, and only those', async () => {
    const { scheduler, run } = startScheduler(3);
    const model = modelNamed('m', { queueMax: 2 });
    for (let count = 0; count < 3; count += 1) run(model, 'watch');
    expect(await run(model, 'watch').outcome).toContain('inference-queue-full');
    for (let count = 0; count < 2; count += 1) run(model, 'client');
    expect(await run(model, 'client').outcome).toContain('inference-queue-full');
    expect(scheduler.runs).toBe(5);
  });

  test('each request is answered, for any events of its host and model', async () => {
    const models = [50, 80, 200].map((deadlineMs, index) => modelNamed(`m${index}`, { deadlineMs }));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(9), fc.nat(2)), { maxLength: 80 }), async (acts) => {
        const { clock, worker, scheduler, run, take } = startScheduler(6);
        const outcomes: Promise<string>[] = [];
        for (const [act, index] of acts) {
          await clock.advance(7);
          const model = models[index] ?? modelNamed('none');
          if (act <= 3) outcomes.push(run(model, act <= 1 ? 'watch' : 'client').outcome);
          else if (act === 4) scheduler.hostLost();
          else if (act === 5) scheduler.reject(model, new Error('unloaded'));
          else if (act === 6) worker.away = new Set(worker.away.has(model) ? [] : [model]);
          else if (act === 7)
            for (const { reject } of scheduler.takeRuns(model, ({ rows }) => rows > 0)) reject(new Error('moved'));
          else {
            worker.failsAsBatch = act === 9;
            take();
          }
        }
        await scheduler.stop(new Error('stopped'));
        expect(scheduler.runs).toBe(0);
        expect(await Promise.all(outcomes)).toHaveLength(outcomes.length);
      }),
      { numRuns: 50 },
    );
  });
});

/** Runs the windows of its models in one host, one run at a time, each until a test ends it. */
function startHost(labels: readonly string[]) {
  const models = labels.map((label) => modelNamed(label, { deadlineMs: 60_000 }));
  const judgements: Judgement[] = [];
  const runs: string[] = [];
  let end: () => void = () => undefined;
  const scheduler: Scheduler = new Scheduler({
    worker: {
      jobsMax: () => 1,
      isReady: () => true,
      notReady: () => new OperatingError('model-not-ready', 'retry', 'away'),
      session: ({ label }) => ({
        served,
        run: async ({ inputs }) => {
          const rows = inputs['window']?.dims[0] ?? 0;
          runs.push(`${label} ${rows}`);
          await new Promise<void>((resolve) => (end = resolve));
          return { outputs: { score: { type: 'float32', dims: [rows], data: new Float32Array(rows) } }, runMs: 1 };
        },
        ended: () => undefined,
      }),
      passOn: () => undefined,
      do: async () => undefined,
    },
    windows: {
      ready: () => served,
      statusOf: ({ label }) => {
        return { name: label, version: 1, state: 'ready', reason: undefined, provider: 'cpu', fallbacks: [] };
      },
      run: (model, inputs) => scheduler.run({ model, priority: 'watch', inputs, specs: served.inputs, queuedMs: 0 }),
      onJudged: (judged) => judgements.push(...judged),
    },
    watchRunsMax: 8,
    deps: testDeps(new FakeClock()),
  });
  return {
    scheduler,
    runs,
    outcomes: () => judgements.map(({ job, outcome }) => `${job.watch} ${job.number} ${outcome}`),
    /** Windows of the watches that use these models fall due in one turn. */
    due: async (number: number, ...watched: readonly string[]) => {
      for (const label of watched) {
        const window = {
          timestampMs: number * 1000,
          values: new Float32Array(4),
          lastRow: new Float32Array(2),
          reason: undefined,
        };
        const job = { watch: label, number, window, steps: 2, columns: 2, dueMs: 0, explained: false };
        scheduler.judge(models[labels.indexOf(label)] ?? modelNamed(label), job);
      }
      await turn();
    },
    /** The run in the host ends, and the next one begins. */
    end: async () => {
      end();
      await turn();
    },
  };
}

describe('windows of several models on one host', () => {
  test('a window whose model has no other run is not superseded while another model occupies the host', async () => {
    const { due, end, runs, outcomes } = startHost(['a', 'b']);
    await due(1, 'a');
    // The run of a occupies the host. The first window of b waits for it; later ones collect behind that one.
    await due(2, 'b');
    await due(3, 'b');
    await due(4, 'b');
    expect(runs).toEqual(['a 1']);
    for (let run = 0; run < 3; run += 1) await end();
    expect(runs).toEqual(['a 1', 'b 1', 'b 1']);
    expect(outcomes()).toEqual(['a 1 judged', 'b 2 judged', 'b 3 superseded', 'b 4 judged']);
  });

  test('models that are always busy take turns, and each judges the newest window of its watch', async () => {
    const { due, end, runs, outcomes } = startHost(['a', 'b']);
    for (let number = 1; number <= 4; number += 1) {
      await due(number, 'a', 'b');
      await end();
    }
    for (let run = 0; run < 8; run += 1) await end();
    expect(runs.slice(0, 4)).toEqual(['a 1', 'b 1', 'a 1', 'b 1']);
    for (const label of ['a', 'b']) {
      const own = outcomes().filter((outcome) => outcome.startsWith(label));
      expect(own.map((outcome) => Number(outcome.split(' ')[1]))).toEqual([1, 2, 3, 4]);
      expect(own.at(-1)).toBe(`${label} 4 judged`);
    }
  });

  test('windows of one turn share a run per model, and every window gets one judgement, for any pace', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(7), { maxLength: 40 }), async (acts) => {
        const { scheduler, due, end, outcomes } = startHost(['a', 'b', 'c']);
        const expected: string[] = [];
        for (const [number, act] of acts.entries()) {
          const watched = ['a', 'b', 'c'].filter((_, index) => (act >> index) % 2 === 1);
          expected.push(...watched.map((label) => `${label} ${number}`));
          if (watched.length === 0) await end();
          else await due(number, ...watched);
        }
        const settled = scheduler.settle();
        for (let run = 0; run < 2 * acts.length + 6; run += 1) await end();
        await settled;
        const judged = outcomes().map((outcome) => outcome.split(' ').slice(0, 2).join(' '));
        expect(judged.toSorted()).toEqual(expected.toSorted());
        for (const label of ['a', 'b', 'c']) {
          const own = judged.filter((one) => one.startsWith(label));
          expect(own).toEqual(expected.filter((one) => one.startsWith(label)));
        }
      }),
      { numRuns: 50 },
    );
  });
});
