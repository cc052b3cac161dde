import type { TrainingRows } from '../../src/training/core/training-rows.ts';
import { seededRandom } from './seeded-random.ts';

/**
 * A machine with three coupled tags: a load that drifts, a flow that follows it with a delay, a temperature that follows
 * with a longer delay.
 *
 * @param fault From this row on, the flow meter reads 2 too much.
 */
export function machineRows(count: number, seed: number, fault = Number.POSITIVE_INFINITY): TrainingRows {
  const random = seededRandom(seed);
  const noise = () => random() + random() + random() - 1.5;
  let load = 0;
  let flow = 0;
  let temperature = 0;
  const values = new Float64Array(count * 3);
  for (let row = 0; row < count; row += 1) {
    load += -load / 20 + noise() * 0.3;
    flow += (load - flow) / 3;
    temperature += (load - temperature) / 15;
    values.set(
      [
        100 + 8 * load + noise() * 0.2,
        20 + flow + noise() * 0.05 + (row < fault ? 0 : 2),
        300 + temperature + noise() * 0.02,
      ],
      row * 3,
    );
  }
  return { count, tags: 3, values };
}

/** A machine with two tags that follow the same load, and whose hours do not differ. */
export function steadyRows(count: number, seed: number): TrainingRows {
  const random = seededRandom(seed);
  const noise = () => random() + random() + random() - 1.5;
  let load = 0;
  const values = new Float64Array(count * 2);
  for (let row = 0; row < count; row += 1) {
    load += -load / 5 + noise();
    values.set([load + noise() * 0.5, 20 + load + noise() * 0.5], row * 2);
  }
  return { count, tags: 2, values };
}
