import { expect, test, vi } from 'vitest';
import type { ModelSlot } from '../../src/inference/model-slot.ts';
import type { RunRequest } from '../../src/inference/run-queue.ts';
import { RunQueue } from '../../src/inference/run-queue.ts';

const serving = { queueMax: 8, batchMax: 8, delayMsMax: 0, deadlineMs: 1000 };

function visitor(slot: ModelSlot, reject: (error: unknown) => void): RunRequest {
  const inputs = {};
  return {
    slot,
    priority: 'visitor',
    inputs,
    specs: [],
    rows: 1,
    joinKey: 'row',
    queuedMs: 0,
    resolve: vi.fn(),
    reject,
  };
}

test('visitors whose batch failed go alone, or are told where their model was unloaded meanwhile', () => {
  // Only its identity, label and limits are looked at.
  const slot = { label: 'm', serving } as unknown as ModelSlot;
  const queue = new RunQueue({ watchRunsMax: 1 });
  const rejects = [vi.fn(), vi.fn()];
  for (const reject of rejects) queue.push(visitor(slot, reject));
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
