import { SystemClock } from '../platform/clock.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import { Health } from '../platform/health.ts';
import { silentLogger } from '../platform/log.ts';
import { Metrics } from '../platform/metrics.ts';
import { LivePlant } from '../plant/live-plant.ts';
import type { PlantMessage, PlantOptions } from '../plant/plant-protocol.ts';
import { seededRandom } from '../plant/seeded-random.ts';

/*
 * The simulated plant, forked by the demo. It ends with its parent: the channel closes whether the parent stops it,
 * exits or is killed, and without device, publisher and timer nothing keeps the process alive.
 */

// The parent is our own PlantProcess.
const options = JSON.parse(process.argv[2] ?? '{}') as PlantOptions;
const clock = new SystemClock();
const log = silentLogger();
const metrics = new Metrics();
const random = seededRandom(options.seed);
const plant = new LivePlant(
  options,
  { clock, random, log, metrics, health: new Health({ clock, log, metrics }) },
  tell,
);

process.once('disconnect', () => void plant[Symbol.asyncDispose]());
// Ctrl-C in a terminal reaches the whole group; the parent decides when the plant ends.
process.on('SIGINT', () => undefined);

try {
  await plant.start();
} catch (error) {
  tell({ type: 'failed', code: errorCode(error), message: errorMessage(error) });
  await plant[Symbol.asyncDispose]();
  process.disconnect();
}

function tell(message: PlantMessage): void {
  if (process.connected) process.send?.(message);
}
