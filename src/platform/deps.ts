import { type Clock, SystemClock } from './clock.ts';
import { Health } from './health.ts';
import { type Logger, silentLogger } from './log.ts';
import { Metrics } from './metrics.ts';

/** Time, randomness and telemetry, passed in so that tests can replace them. */
export type Deps = {
  readonly clock: Clock;
  /** 0 ≤ n < 1. */
  readonly random: () => number;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: Health;
};

/** Returns the dependencies of a process: the real clock and random numbers. A short command discards its telemetry. */
export function systemDeps(log: Logger = silentLogger()): Deps & { readonly clock: SystemClock } {
  const [clock, metrics] = [new SystemClock(), new Metrics()];
  return { clock, random: Math.random, log, metrics, health: new Health({ clock, log, metrics }) };
}
