import { type Clock, SystemClock } from '../../src/platform/clock.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { Health } from '../../src/platform/health.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { Metrics } from '../../src/platform/metrics.ts';

/** Deps for a test: silent, with the middle of every random draw, on the real clock unless another is given. */
export function testDeps(clock: Clock = new SystemClock()): Deps {
  const log = silentLogger();
  const metrics = new Metrics();
  return { clock, random: () => 0.5, log, metrics, health: new Health({ clock, log, metrics }) };
}

/** Value of one sample of a metric, with its labels as Prometheus prints them: `andon_x_total{source="plc"}`; 0 if absent. */
export async function metricValue(deps: Deps, sample: string): Promise<number> {
  const line = (await deps.metrics.text()).split('\n').find((text) => text.startsWith(`${sample} `));
  return line === undefined ? 0 : Number(line.slice(sample.length + 1));
}
