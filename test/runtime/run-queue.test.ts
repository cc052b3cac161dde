import { expect, test, vi } from 'vitest';
import type { HostProcess } from '../../src/runtime/host/host-process.ts';
import type { ModelSlot } from '../../src/runtime/host/model-slot.ts';
import type { RunRequest } from '../../src/runtime/host/run-queue.ts';
import { RunQueue } from '../../src/runtime/host/run-queue.ts';

const serving = { queueMax: 8, batchMax: 8, delayMsMax: 0, deadlineMs: 1000 };

function client(slot: ModelSlot, reject: (error: unknown) => void): RunRequest {
  const inputs = {};
  return {
    slot,
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

test('clients whose batch failed go alone, or are told where their model was unloaded meanwhile', () => {
  // Only its identity, label and limits are looked at.
  const slot = { label: 'm', use: { serving } } as unknown as ModelSlot;
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

/** What the queue looks at of a model. */
function slotNamed(label: string, deadlineMs = 1000): ModelSlot {
  return { label, use: { serving: { ...serving, deadlineMs } } } as unknown as ModelSlot;
}

function watchRun(slot: ModelSlot, queuedMs = 0): RunRequest {
  return { ...client(slot, vi.fn()), priority: 'watch', joinKey: undefined, queuedMs };
}

/** `run a`, `load b`, … until nothing can be done. */
function drained(queue: RunQueue, nowMs: number, isReady: (slot: ModelSlot) => boolean): readonly string[] {
  const done: string[] = [];
  for (let job = queue.take(nowMs, isReady); job !== undefined; job = queue.take(nowMs, isReady))
    done.push('slot' in job ? `${job.kind} ${job.slot.label}` : job.kind);
  return done;
}

test('a run whose model is not back yet holds up no other, and those who asked before a load go before it', () => {
  const [quick, slow] = [slotNamed('quick'), slotNamed('slow')];
  const queue = new RunQueue({ watchRunsMax: 8 });
  queue.push(watchRun(slow, 1));
  queue.push(watchRun(quick, 2));
  queue.push({ ...client(quick, vi.fn()), queuedMs: 3 });
  queue.hostLost();
  queue.load(quick, 5);
  queue.load(slow, 5);
  queue.push(watchRun(quick, 6));
  queue.push({ ...client(quick, vi.fn()), joinKey: undefined, queuedMs: 7 });
  const back = new Set<ModelSlot>();
  const isReady = (slot: ModelSlot): boolean => back.has(slot);
  expect(queue.take(10, isReady)).toMatchObject({ kind: 'load', slot: quick });
  back.add(quick);
  expect(drained(queue, 10, isReady)).toEqual(['run quick', 'run quick', 'load slow', 'run quick', 'run quick']);
  back.add(slow);
  expect(drained(queue, 10, isReady)).toEqual(['run slow']);
});

test('nothing falls due of clients whose model is not back', () => {
  const slot = slotNamed('m');
  const queue = new RunQueue({ watchRunsMax: 8 });
  queue.push(client(slot, vi.fn()));
  expect(queue.dueMs(() => false)).toBeUndefined();
  expect(queue.dueMs(() => true)).toBe(0);
});

test('those that wait are told at the deadline of their model, each once, and the others wait on', () => {
  const [hasty, patient] = [slotNamed('hasty', 100), slotNamed('patient', 1000)];
  const queue = new RunQueue({ watchRunsMax: 8 });
  const [first, second, third] = [watchRun(hasty), client(hasty, vi.fn()), watchRun(patient, 50)];
  for (const request of [first, second, third]) queue.push(request);
  const failure = ({ slot }: RunRequest): Error => new Error(`${slot.label} waited`);
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
  queue.load(slot, 0);
  queue.ping();
  // Only its identity is looked at.
  queue.unload('other', {} as HostProcess, unloaded);
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
