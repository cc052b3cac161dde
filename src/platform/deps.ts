import { randomBytes } from 'node:crypto';
import type { Clock } from './clock.ts';
import type { Health } from './health.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';

/** Time, randomness and telemetry, passed in so that tests can replace them. */
export type Deps = {
  readonly clock: Clock;
  /** 0 ≤ n < 1. */
  readonly random: () => number;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: Health;
};

/** Returns a random number of at least 0 and less than 1. */
export function systemRandom(): number {
  return randomBytes(4).readUInt32LE() / 2 ** 32;
}
