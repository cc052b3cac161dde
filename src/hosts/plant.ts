import { systemDeps } from '../platform/deps.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import { LivePlant } from '../plant/live-plant.ts';
import type { PlantMessage, PlantOptions } from '../plant/plant-protocol.ts';

/*
 * Entry file of the simulated plant, which the demo forks. It ends with its parent: the channel closes if the parent stops it, exits
 * or is killed, and without device, publisher and timer nothing keeps the process alive.
 */

// Written by startPlantProcess.
const options = JSON.parse(process.argv[2] ?? '{}') as PlantOptions;
const plant = new LivePlant(options, systemDeps(), tell);

process.once('disconnect', () => void plant[Symbol.asyncDispose]());
// Ctrl-C reaches the whole process group; the parent decides when the plant ends.
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
