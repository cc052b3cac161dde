import { describe, expect, test } from 'vitest';
import { UnitBreaker } from '../../../src/sources/modbus/scan/unit-breaker.ts';

const middle = () => 0.5;

describe('a unit that stops answering', () => {
  test('is read as usual after one silent read, but without retries', () => {
    const unit = new UnitBreaker(middle);
    expect(unit.retries(2)).toBe(2);
    unit.silent(0, 'did not answer');
    expect(unit.away).toBe(false);
    expect(unit.maySend(0)).toBe(true);
    expect(unit.retries(2)).toBe(0);
  });

  test('is away after two silent reads in a row, and then read once per wait', () => {
    const unit = awayAt(0);
    expect(unit.maySend(749)).toBe(false);
    expect(unit.maySend(750)).toBe(true);
    expect(unit.maySend(750)).toBe(false);
  });

  test('is retried with growing waits, up to the longest wait', () => {
    const unit = awayAt(0);
    const waits = [750, 1500, 3000, 6000, 12_000, 22_500, 22_500];
    let nowMs = 0;
    for (const waitMs of waits) {
      expect(unit.maySend(nowMs + waitMs - 1)).toBe(false);
      nowMs += waitMs;
      expect(unit.maySend(nowMs)).toBe(true);
      unit.silent(nowMs, 'did not answer');
    }
  });

  test('is back with its first answer, and the waits start over', () => {
    const unit = awayAt(0);
    unit.maySend(750);
    unit.silent(750, 'did not answer');
    unit.maySend(2250);
    unit.answered();
    expect(unit.away).toBe(false);
    expect(unit.retries(2)).toBe(2);
    unit.silent(3000, 'did not answer');
    unit.silent(3000, 'did not answer');
    expect(unit.maySend(3750)).toBe(true);
  });

  test('keeps its turn when the link was down for the trial', () => {
    const unit = awayAt(0);
    unit.maySend(750);
    unit.undecided();
    expect(unit.maySend(751)).toBe(true);
  });

  test('that answers between two silent reads is not away', () => {
    const unit = new UnitBreaker(middle);
    unit.silent(0, 'did not answer');
    unit.answered();
    unit.silent(1, 'did not answer');
    expect(unit.away).toBe(false);
  });
});

function awayAt(nowMs: number): UnitBreaker {
  const unit = new UnitBreaker(middle);
  unit.silent(nowMs, 'did not answer');
  unit.silent(nowMs, 'did not answer');
  return unit;
}
