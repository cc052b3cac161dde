import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ScanSchedule } from '../../../src/sources/modbus/scan/scan-schedule.ts';
import { Scanner } from '../../../src/sources/modbus/scan/scanner.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A scan class whose scans take a given time. */
class SlowScans {
  readonly begunAtMs: number[] = [];
  scanMs = 0;
  missed = 0;
  readonly scanner: Scanner;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock, scanIntervalMs: number) {
    this.#clock = clock;
    this.scanner = new Scanner({ scanIntervalMs, clock, onMissed: (scans) => (this.missed += scans) });
  }

  begin(): void {
    this.begunAtMs.push(this.#clock.monotonicMs());
    if (this.scanMs === 0) this.scanner.scanEnded(true);
    else this.#clock.setTimer(() => this.scanner.scanEnded(true), this.scanMs);
  }
}

describe('scans of one class', () => {
  test('are due at the multiples of the interval, after one at the start', async () => {
    const clock = new FakeClock();
    await clock.advance(37);
    const scans = new SlowScans(clock, 100);
    scans.scanner.start(scans);
    await clock.advance(400);
    expect(scans.begunAtMs).toEqual([37, 100, 200, 300, 400]);
  });

  test('fall due together with those of another source that started at another time', async () => {
    const clock = new FakeClock();
    const first = new SlowScans(clock, 100);
    const second = new SlowScans(clock, 100);
    first.scanner.start(first);
    await clock.advance(63);
    second.scanner.start(second);
    await clock.advance(400);
    expect(second.begunAtMs.slice(1)).toEqual(first.begunAtMs.slice(1));
  });

  test('do not drift, however long each takes within its interval', async () => {
    const clock = new FakeClock();
    const scans = new SlowScans(clock, 100);
    scans.scanMs = 70;
    scans.scanner.start(scans);
    await clock.advance(5_000);
    expect(scans.begunAtMs.at(-1)).toBe(5_000);
    expect(scans.missed).toBe(0);
  });

  test('that take longer than the interval skip the missed scans and count them', async () => {
    const clock = new FakeClock();
    const scans = new SlowScans(clock, 100);
    scans.scanner.start(scans);
    await clock.advance(50);
    scans.scanMs = 350;
    await clock.advance(100);
    scans.scanMs = 0;
    await clock.advance(500);
    // Started at 100 for 350 ms: 200, 300 and 400 were due meanwhile; one scan at 450 stands for all three.
    expect(scans.begunAtMs).toEqual([0, 100, 450, 500, 600]);
    expect(scans.missed).toBe(2);
  });

  test('every due time has its scan or is counted as missed, for any stalls', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 50 }), (stallsMs) => {
        const schedule = new ScanSchedule(100);
        let nowMs = 0;
        let missed = schedule.begin(nowMs);
        for (const stallMs of stallsMs) {
          nowMs += stallMs;
          nowMs += schedule.delayMs(nowMs);
          missed += schedule.begin(nowMs);
        }
        expect(stallsMs.length + missed).toBe(Math.floor(nowMs / 100));
      }),
    );
  });

  test('started slightly early by a timer count for their due time', () => {
    const schedule = new ScanSchedule(100);
    schedule.begin(0);
    expect(schedule.begin(99.6)).toBe(0);
    expect(schedule.delayMs(99.9)).toBeCloseTo(100.1);
  });

  test('stop for good', async () => {
    const clock = new FakeClock();
    const scans = new SlowScans(clock, 100);
    scans.scanner.start(scans);
    await clock.advance(150);
    scans.scanner.stop();
    await clock.advance(1000);
    expect(scans.begunAtMs).toEqual([0, 100]);
    expect(clock.timers).toBe(0);
  });
});

describe('a continuous scan class', () => {
  test('begins again as soon as the last scan is through', async () => {
    const clock = new FakeClock();
    const scans = new SlowScans(clock, 0);
    scans.scanMs = 7;
    scans.scanner.start(scans);
    await clock.advance(70);
    scans.scanner.stop();
    expect(scans.begunAtMs.slice(0, 5)).toEqual([0, 7, 14, 21, 28]);
  });

  test('does not spin while no read gets a response', async () => {
    const clock = new FakeClock();
    let begun = 0;
    const scanner = new Scanner({ scanIntervalMs: 0, clock, onMissed: () => undefined });
    scanner.start({
      begin: () => {
        begun += 1;
        scanner.scanEnded(false);
      },
    });
    await clock.advance(1000);
    scanner.stop();
    expect(begun).toBe(11);
  });
});

describe('the sign of life of a scanner', () => {
  test('advances while it waits for a scan that is not due yet, however long the interval', async () => {
    const clock = new FakeClock();
    const scans = new SlowScans(clock, 600_000);
    scans.scanner.start(scans);
    await clock.advance(300_000);
    expect(scans.scanner.lastTickMs()).toBe(300_000);
  });

  test('stands still while a scan does not end', async () => {
    const clock = new FakeClock();
    const scanner = new Scanner({ scanIntervalMs: 100, clock, onMissed: () => undefined });
    scanner.start({ begin: () => undefined });
    await clock.advance(10_000);
    expect(scanner.lastTickMs()).toBe(0);
  });
});
