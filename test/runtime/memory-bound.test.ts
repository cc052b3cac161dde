import { expect, test } from 'vitest';
import { MemoryBound } from '../../src/runtime/host/memory-bound.ts';

const MB = 1_000_000;
const minutes = (count: number) => count * 60_000;

/** A host that begins fresh and is looked at every second. @returns Times at which it was replaced, in minutes. */
function replacements(bound: MemoryBound, residentAt: (ageMs: number) => number, duringMs: number): readonly number[] {
  const found: number[] = [];
  let bornMs = 0;
  for (let nowMs = 0; nowMs < duringMs; nowMs += 1000) {
    const residentBytes = residentAt(nowMs - bornMs);
    if (!bound.isPassed(residentBytes, nowMs)) continue;
    bound.noteRecycling(residentBytes, nowMs);
    bound.noteFresh(residentAt(0), false);
    bornMs = nowMs;
    found.push(nowMs / 60_000);
  }
  return found;
}

test('a host whose models need more than it may take is not replaced for ever', () => {
  const bound = new MemoryBound(64 * MB, 'models.maxMemory');
  expect(replacements(bound, () => 100 * MB, minutes(600))).toEqual([0]);
  expect(bound.noteFresh(100 * MB, false)).toBe(
    'a fresh host takes 100.0 MB of 64.0 MB with its models; raise models.maxMemory',
  );
});

test('nor one whose work takes more than it may, soon after its start', () => {
  const bound = new MemoryBound(200 * MB, 'models.maxMemory');
  const working = (ageMs: number) => (ageMs < 30_000 ? 100 : 310) * MB;
  expect(replacements(bound, working, minutes(600))).toHaveLength(2);
  expect(bound.noteFresh(100 * MB, false)).toBe(
    'a host takes 310.0 MB of 200.0 MB within 10m of its start; raise models.maxMemory',
  );
});

test('but one that leaks is, at ever longer intervals up to some minutes, so that it stays bounded', () => {
  const bound = new MemoryBound(200 * MB, 'models.maxMemory');
  const leaking = (ageMs: number) => 100 * MB + (ageMs / 60_000) * 100 * MB;
  const times = replacements(bound, leaking, minutes(600));
  const intervals = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  expect(intervals.length).toBeGreaterThan(30);
  expect(Math.max(...intervals)).toBeLessThan(16);
});

test('the memory of earlier models does not count for the next one', () => {
  const bound = new MemoryBound(200 * MB, 'models.maxMemory');
  replacements(bound, (ageMs) => (ageMs < 30_000 ? 100 : 310) * MB, minutes(5));
  expect(bound.isPassed(300 * MB, minutes(60))).toBe(false);
  expect(bound.noteFresh(100 * MB, true)).toBeUndefined();
  expect(bound.isPassed(300 * MB, minutes(60))).toBe(true);
});

test('a version that would exceed the memory limit of its host is refused; half as much again as before is accepted if the host was over it already', () => {
  const bound = new MemoryBound(200 * MB, 'models.hosts.heavy.maxMemory');
  expect(bound.excess(200 * MB)).toBeUndefined();
  expect(bound.excess(250 * MB)).toBe('its host would take 250.0 MB of 200.0 MB (models.hosts.heavy.maxMemory)');
  bound.noteFresh(220 * MB, false);
  expect(bound.excess(250 * MB)).toBeUndefined();
  expect(bound.excess(331 * MB)).not.toBeUndefined();
});
