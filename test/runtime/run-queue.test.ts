import * as fc from 'fast-check';
import { expect, type Mock, test, vi } from 'vitest';
import { type QueuedModel, RunQueue, type RunRequest } from '../../src/runtime/queue/run-queue.ts';

const serving = { queueMax: 8, batchMax: 8, delayMsMax: 0, deadlineMs: 1000 };

function client(model: QueuedModel, reject: (error: unknown) => void): RunRequest {
  const inputs = {};
  return {
    model,
    priority: 'client',
    inputs,
    specs: [],
    rows: 1,
    joinKey: 'row',
    queuedMs: 0,
    resolve: vi.fn(),
    reject,
  };
}

test('clients whose batch failed run alone, or are rejected if their model was unloaded meanwhile', () => {
  // Only its identity, label and limits are used.
  const slot = { label: 'm', use: { serving } } as unknown as QueuedModel;
  const queue = new RunQueue({ watchRunsMax: 1 });
  const rejects = [vi.fn(), vi.fn()];
  for (const reject of rejects) queue.push(client(slot, reject));
  const take = () => {
    const job = queue.take(0, () => true);
    return job?.kind === 'run' ? job.requests : [];
  };
  const batch = take();
  expect(batch).toHaveLength(2);
  queue.pushAlone(batch);
  expect([take(), take(), take()].map(({ length }) => length)).toEqual([1, 1, 0]);

  queue.reject(slot, new Error('unloaded'));
  queue.pushAlone(batch);
  expect(queue.runs).toBe(0);
  for (const reject of rejects)
    expect(reject).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'model-not-ready' }));
});

/** The part of a model that the queue uses. */
function slotNamed(label: string, deadlineMs = 1000, limits: Partial<typeof serving> = {}): QueuedModel {
  return { label, use: { serving: { ...serving, deadlineMs, ...limits } } } as unknown as QueuedModel;
}

function watchRun(model: QueuedModel, queuedMs = 0): RunRequest {
  return { ...client(model, vi.fn()), priority: 'watch', joinKey: undefined, queuedMs };
}

/** Returns `run a`, `load b`, … until no job is ready. */
function drained(queue: RunQueue, nowMs: number, isReady: (slot: QueuedModel) => boolean): readonly string[] {
  const done: string[] = [];
  for (let job = queue.take(nowMs, isReady); job.kind !== 'none'; job = queue.take(nowMs, isReady))
    done.push('model' in job ? `${job.kind} ${job.model.label}` : job.kind);
  return done;
}

test('a run whose model is not ready delays no other run, and runs older than a load go before it', () => {
  const [quick, slow] = [slotNamed('quick'), slotNamed('slow')];
  const queue = new RunQueue({ watchRunsMax: 8 });
  queue.push(watchRun(slow, 1));
  queue.push(watchRun(quick, 2));
  queue.push({ ...client(quick, vi.fn()), queuedMs: 3 });
  queue.hostLost();
  queue.add({ kind: 'load', model: quick, queuedMs: 5 });
  queue.add({ kind: 'load', model: slow, queuedMs: 5 });
  queue.push(watchRun(quick, 6));
  queue.push({ ...client(quick, vi.fn()), joinKey: undefined, queuedMs: 7 });
  const back = new Set<QueuedModel>();
  const isReady = (slot: QueuedModel): boolean => back.has(slot);
  expect(queue.take(10, isReady)).toMatchObject({ kind: 'load', model: quick });
  back.add(quick);
  expect(drained(queue, 10, isReady)).toEqual(['run quick', 'run quick', 'load slow', 'run quick', 'run quick']);
  back.add(slow);
  expect(drained(queue, 10, isReady)).toEqual(['run slow']);
});

test('no client request is due while its model is not ready', () => {
  const slot = slotNamed('m');
  const queue = new RunQueue({ watchRunsMax: 8 });
  queue.push(client(slot, vi.fn()));
  expect(queue.take(0, () => false)).toEqual({ kind: 'none' });
  expect(queue.take(0, () => true)).toMatchObject({ kind: 'run', model: slot });
});

test('waiting requests are rejected once at the deadline of their model, and the others keep waiting', () => {
  const [hasty, patient] = [slotNamed('hasty', 100), slotNamed('patient', 1000)];
  const queue = new RunQueue({ watchRunsMax: 8 });
  const [first, second, third] = [watchRun(hasty), client(hasty, vi.fn()), watchRun(patient, 50)];
  for (const request of [first, second, third]) queue.push(request);
  const failure = ({ model }: RunRequest): Error => new Error(`${model.label} waited`);
  expect(queue.expire(99, failure)).toBe(100);
  expect(queue.expire(100, failure)).toBe(1050);
  expect(queue.expire(2000, failure)).toBeUndefined();
  for (const { reject } of [first, second]) expect(reject).toHaveBeenCalledExactlyOnceWith(new Error('hasty waited'));
  expect(third.reject).toHaveBeenCalledExactlyOnceWith(new Error('patient waited'));
  expect(queue.runs).toBe(0);
});

test('a lost host takes loads, pings and unloads along, and no run', () => {
  const slot = slotNamed('m');
  const queue = new RunQueue({ watchRunsMax: 8 });
  const unloaded = vi.fn();
  queue.add({ kind: 'load', model: slot, queuedMs: 0 });
  queue.add({ kind: 'ping' });
  queue.add({ kind: 'unload', key: 'other', host: {}, done: unloaded });
  queue.push(watchRun(slot));
  queue.hostLost();
  expect(unloaded).toHaveBeenCalledOnce();
  expect(queue.hasLoads).toBe(false);
  expect(drained(queue, 0, () => true)).toEqual(['run m']);
});

test('requests that were to go together go alone once another version has taken over', () => {
  const slot = slotNamed('m');
  const queue = new RunQueue({ watchRunsMax: 8 });
  for (let count = 0; count < 3; count += 1) queue.push(client(slot, vi.fn()));
  queue.separate(slot);
  expect(drained(queue, 0, () => true)).toEqual(['run m', 'run m', 'run m']);
});

test('a batch has at most the rows of its model, the oldest first, and a request that does not fit waits', () => {
  const model = slotNamed('m', 1000, { batchMax: 4 });
  const queue = new RunQueue({ watchRunsMax: 8 });
  for (const rows of [3, 2, 1, 4]) queue.push({ ...client(model, vi.fn()), rows });
  const takeRows = () => {
    const job = queue.take(0, () => true);
    return job.kind === 'run' ? job.requests.map(({ rows }) => rows) : [];
  };
  expect([takeRows(), takeRows(), takeRows(), takeRows()]).toEqual([[3, 1], [2], [4], []]);
});

test('a full batch is due immediately; another one when its oldest request has waited for the delay', () => {
  const model = slotNamed('m', 1000, { batchMax: 2, delayMsMax: 50 });
  const queue = new RunQueue({ watchRunsMax: 8 });
  queue.push({ ...client(model, vi.fn()), queuedMs: 10 });
  expect(queue.take(20, () => true)).toEqual({ kind: 'wait', untilMs: 60 });
  queue.push({ ...client(model, vi.fn()), queuedMs: 20 });
  expect(queue.take(20, () => true)).toMatchObject({ kind: 'run', requests: [{ queuedMs: 10 }, { queuedMs: 20 }] });
});

test('more runs than the limits allow are refused, and only those', () => {
  const model = slotNamed('m', 1000, { queueMax: 2 });
  const queue = new RunQueue({ watchRunsMax: 3 });
  const full = expect.objectContaining({ code: 'inference-queue-full' }) as Error;
  for (let run = 0; run < 3; run += 1) queue.push(watchRun(model));
  expect(() => queue.push(watchRun(model))).toThrow(full);
  for (let run = 0; run < 2; run += 1) queue.push(client(model, vi.fn()));
  expect(() => queue.push(client(model, vi.fn()))).toThrow(full);
  expect(queue.runs).toBe(5);
});

test('each request is answered once, for any events of its host and model', () => {
  const models = [slotNamed('a', 50), slotNamed('b', 80), slotNamed('c', 200)];
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(9), fc.nat(2)), { maxLength: 80 }), (acts) => {
      const queue = new RunQueue({ watchRunsMax: 6 });
      const requests: (RunRequest & { readonly resolve: Mock; readonly reject: Mock })[] = [];
      const push = (model: QueuedModel, priority: 'watch' | 'client', nowMs: number): void => {
        const joinKey = priority === 'client' ? 'row' : undefined;
        const request = {
          ...client(model, vi.fn()),
          priority,
          joinKey,
          queuedMs: nowMs,
          resolve: vi.fn(),
          reject: vi.fn(),
        };
        try {
          queue.push(request);
          requests.push(request);
        } catch {
          // The queue is full: the caller got the error.
        }
      };
      let nowMs = 0;
      for (const [act, index] of acts) {
        nowMs += 7;
        const model = models[index] ?? slotNamed('none');
        if (act <= 3) push(model, act <= 1 ? 'watch' : 'client', nowMs);
        else if (act === 4) queue.hostLost();
        else if (act === 5) queue.reject(model, new Error('unloaded'));
        else if (act === 6) queue.expire(nowMs, () => new Error('expired'));
        else if (act === 7)
          for (const { reject } of queue.takeRuns(model, ({ rows }) => rows > 0)) reject(new Error('moved'));
        else {
          const job = queue.take(nowMs, (one) => one !== models[2] || act === 8);
          if (job.kind !== 'run') continue;
          if (act === 9 && job.requests.length > 1) queue.pushAlone(job.requests);
          else for (const { resolve } of job.requests) resolve({} as never);
        }
      }
      queue.rejectAll(new Error('stopped'));
      expect(queue.runs).toBe(0);
      for (const { resolve, reject } of requests) expect(resolve.mock.calls.length + reject.mock.calls.length).toBe(1);
    }),
  );
});
