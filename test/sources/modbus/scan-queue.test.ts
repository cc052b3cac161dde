import { expect, it } from 'vitest';
import { ScanQueue, scanOffsetMs } from '../../../src/sources/modbus/scan/scan-queue.ts';
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

it('makes sources due in groups of 16, 20 ms apart, at most four of them and within the interval', () => {
  const queue = new ScanQueue();
  const positions = Array.from({ length: 65 }, () => queue.join());
  const offsetsMs = (scanIntervalMs: number) =>
    [0, 15, 16, 31, 32, 48, 64].map((index) => scanOffsetMs(positions[index] ?? -1, scanIntervalMs));
  expect(offsetsMs(1000)).toEqual([0, 0, 20, 20, 40, 60, 0]);
  expect(offsetsMs(100)).toEqual([0, 0, 20, 20, 40, 60, 0]);
  expect(offsetsMs(50)).toEqual([0, 0, 20, 20, 0, 20, 0]);
  expect(offsetsMs(10)).toEqual([0, 0, 0, 0, 0, 0, 0]);
  expect(offsetsMs(0)).toEqual([0, 0, 0, 0, 0, 0, 0]);
});

it('gives the position of a source that ended to the next one', () => {
  const queue = new ScanQueue();
  expect([queue.join(), queue.join(), queue.join()]).toEqual([0, 1, 2]);
  queue.leave(1);
  expect([queue.join(), queue.join()]).toEqual([1, 3]);
});
