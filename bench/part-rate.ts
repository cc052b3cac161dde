import { SystemClock } from '../src/platform/clock.ts';
import type { Deps } from '../src/platform/deps.ts';
import { Health } from '../src/platform/health.ts';
import { silentLogger } from '../src/platform/log.ts';
import { Metrics } from '../src/platform/metrics.ts';
import { machineMs } from './workload.ts';

/** The deps of the agent, without a log. */
export function benchDeps(): Deps {
  const clock = new SystemClock();
  const log = silentLogger();
  const metrics = new Metrics();
  return { clock, random: Math.random, log, metrics, health: new Health({ clock, log, metrics }) };
}

/** Waits for a warm-up, then counts for `measureMs`. @param done Number so far. @returns Number per second. */
export async function rateOf(done: () => number, measureMs: number): Promise<number> {
  await pause(measureMs / 3);
  const [fromMs, before] = [machineMs(), done()];
  await pause(measureMs);
  return ((done() - before) * 1000) / (machineMs() - fromMs);
}

/** Runs steps through a warm-up and for `measureMs`. @param step @returns Number of items it processed. */
export async function rateOfSteps(step: () => number | Promise<number>, measureMs: number): Promise<number> {
  const warmMs = machineMs() + measureMs / 3;
  while (machineMs() < warmMs) await step();
  const fromMs = machineMs();
  let done = 0;
  while (machineMs() < fromMs + measureMs) done += await step();
  return (done * 1000) / (machineMs() - fromMs);
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
