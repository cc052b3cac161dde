import type { AgentDeps } from '../../app/agent.ts';
import { SystemClock } from '../../platform/clock.ts';
import { Health } from '../../platform/health.ts';
import { type Logger, silentLogger } from '../../platform/log.ts';
import { Metrics } from '../../platform/metrics.ts';

/** Returns the dependencies of a process: the real clock and random numbers. A short command discards its telemetry. */
export function systemDeps(log: Logger = silentLogger(), metrics = new Metrics()): AgentDeps {
  const clock = new SystemClock();
  return { clock, random: Math.random, log, metrics, health: new Health({ clock, log, metrics }) };
}
