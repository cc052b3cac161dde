import { describe, expect, test } from 'vitest';
import { PumpPlant, type PumpReading } from '../../src/plant/pump-plant.ts';
import {
  demoTimings,
  foreverNormal,
  pumpCondition,
  type PumpPhase,
  type PumpTimings,
} from '../../src/plant/pump-scenario.ts';
import { seededRandom } from '../../src/plant/seeded-random.ts';

const STEP_MS = 100;

describe('the simulated pump', () => {
  test('runs the same for the same seed, and differently for another', () => {
    expect(readings(1, demoTimings, 60_000)).toEqual(readings(1, demoTimings, 60_000));
    expect(readings(1, demoTimings, 1000)).not.toEqual(readings(2, demoTimings, 1000));
  });

  test('stays within what is normal while it is in order', () => {
    for (const reading of readings(3, foreverNormal, 600_000)) {
      expect(reading.phase).toBe('normal');
      expect(reading.pressureBar).toBeGreaterThan(3);
      expect(reading.pressureBar).toBeLessThan(5);
      expect(reading.vibrationG).toBeLessThan(1.1);
      expect(reading.fillWeightG).toBeGreaterThan(490);
      expect(reading.temperatureC).toBeLessThan(46);
    }
  });

  test('a worn bearing shakes before pressure or bottles tell', () => {
    const { normal, worn } = byPhase(5);
    expect(mean(worn, 'vibrationG')).toBeGreaterThan(mean(normal, 'vibrationG') + 0.1);
    expect(Math.abs(mean(worn, 'pressureBar') - mean(normal, 'pressureBar'))).toBeLessThan(0.1);
  });

  test('cavitation costs pressure, flow and fill weight', () => {
    const { normal, cavitating } = byPhase(6);
    expect(mean(cavitating, 'pressureBar')).toBeLessThan(mean(normal, 'pressureBar') - 0.5);
    expect(mean(cavitating, 'flowM3h')).toBeLessThan(mean(normal, 'flowM3h') - 1.5);
    expect(mean(cavitating, 'fillWeightG')).toBeLessThan(mean(normal, 'fillWeightG') - 5);
  });

  test('comes back to normal after the repair', () => {
    const roundMs = Object.values(demoTimings).reduce((sum, ms) => sum + ms, 0);
    const afterRepair = readings(7, demoTimings, roundMs + 20_000).slice((roundMs + 10_000) / STEP_MS);
    expect(mean(afterRepair, 'vibrationG')).toBeLessThan(1);
    expect(mean(afterRepair, 'fillWeightG')).toBeGreaterThan(490);
  });
});

test('the phases follow one another and begin again', () => {
  const roundMs = Object.values(demoTimings).reduce((sum, ms) => sum + ms, 0);
  const phases: PumpPhase[] = [];
  for (let elapsedMs = 0; elapsedMs < 2 * roundMs; elapsedMs += 500) {
    const { phase, wear, cavitation } = pumpCondition(elapsedMs, demoTimings);
    if (phases.at(-1) !== phase) phases.push(phase);
    expect(wear).toBeGreaterThanOrEqual(0);
    expect(wear).toBeLessThanOrEqual(1);
    expect(cavitation).toBeLessThanOrEqual(wear);
  }
  const round: readonly PumpPhase[] = ['normal', 'bearing-wear', 'cavitation', 'recovering'];
  expect(phases).toEqual([...round, ...round]);
});

function readings(seed: number, timings: PumpTimings, forMs: number): readonly PumpReading[] {
  const plant = new PumpPlant({ random: seededRandom(seed), timings });
  return Array.from({ length: forMs / STEP_MS }, () => plant.step(STEP_MS));
}

function byPhase(seed: number) {
  // Many rounds, so that the demand's wandering averages out.
  const all = readings(seed, demoTimings, 3_600_000);
  const phase = (name: PumpPhase) => all.filter((reading) => reading.phase === name);
  return { normal: phase('normal'), worn: phase('bearing-wear'), cavitating: phase('cavitation') };
}

type Quantity = 'vibrationG' | 'pressureBar' | 'flowM3h' | 'fillWeightG';

function mean(all: readonly PumpReading[], quantity: Quantity): number {
  return all.reduce((sum, reading) => sum + reading[quantity], 0) / all.length;
}
