import { SystemClock } from '../../src/platform/clock.ts';
import { startPlantProcess } from '../../src/plant/plant-process.ts';
import type { PlantOptions } from '../../src/plant/plant-protocol.ts';

/* A parent that starts a plant, prints its port, and is there to be killed. */
const options = JSON.parse(process.argv[2] ?? '') as PlantOptions;
const events = { onPhase: () => undefined, onExit: () => undefined };
const plant = await startPlantProcess(options, events, new SystemClock());
process.stdout.write(String(plant.modbusPort));
