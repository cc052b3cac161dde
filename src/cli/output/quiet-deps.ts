import type { AgentDeps } from '../../app/agent.ts';
import { SystemClock } from '../../platform/clock.ts';
import { Health } from '../../platform/health.ts';
import { silentLogger } from '../../platform/log.ts';
import { Metrics } from '../../platform/metrics.ts';

/** For commands that come and go: the real clock and chance, telemetry that nobody reads. */
export function quietDeps(): AgentDeps {
  const clock = new SystemClock();
  const log = silentLogger();
  const metrics = new Metrics();
  return { clock, random: Math.random, log, metrics, health: new Health({ clock, log, metrics }) };
}
