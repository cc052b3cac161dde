import { expect, it } from 'vitest';
import { ScanQueue } from '../../../src/sources/modbus/scan/scan-queue.ts';
import { Scanner } from '../../../src/sources/modbus/scan/scanner.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('starts a scan immediately, and those that are due with it one in each turn, in their order', async () => {
  const queue = new ScanQueue();
  const begun: number[] = [];
  for (const scan of [1, 2, 3]) queue.add(() => begun.push(scan));
  const perTurn = [[...begun]];
  for (let turn = 0; turn < 3; turn += 1) {
    await nextTurn();
    perTurn.push([...begun]);
  }
  expect(perTurn).toEqual([[1], [1, 2], [1, 2, 3], [1, 2, 3]]);
  queue.add(() => begun.push(4));
  expect(begun).toEqual([1, 2, 3, 4]);
});

it.each([
  { stops: false, scans: 1 },
  { stops: true, scans: 0 },
])('starts a scan that waited, unless its scanner was stopped: %o', async ({ stops, scans }) => {
  const timers: (() => void)[] = [];
  const setTimer = (callback: () => void) => ({ cancel: () => void callback, due: timers.push(callback) });
  const clock = { monotonicMs: () => 0, nowMs: () => 0, setTimer };
  const queue = new ScanQueue();
  let begun = 0;
  const scanner = new Scanner({ scanIntervalMs: 100, clock, queue, onMissed: () => undefined });
  scanner.start({ begin: () => void (begun += 1) });
  queue.add(() => undefined);
  timers[0]?.();
  expect(begun).toBe(0);
  if (stops) scanner.stop();
  await nextTurn();
  expect(begun).toBe(scans);
});
