import type { AgentDeps } from '../../app/agent.ts';
import { SystemClock } from '../../platform/clock.ts';
import { Health } from '../../platform/health.ts';
import { silentLogger } from '../../platform/log.ts';
import { Metrics } from '../../platform/metrics.ts';

/** Dependencies of short-lived commands: the real clock and random numbers, discarded telemetry. */
export function quietDeps(): AgentDeps {
  const clock = new SystemClock();
  const log = silentLogger();
  const metrics = new Metrics();
  return { clock, random: Math.random, log, metrics, health: new Health({ clock, log, metrics }) };
}
