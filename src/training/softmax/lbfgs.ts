/** Steps remembered; each costs two vectors. */
const MEMORY = 10;
/** Share of the predicted descent that a step must reach, and the factor that shortens it otherwise. */
const DESCENT_KEPT = 1e-4;
const SHORTENING = 0.5;
const SHORTENINGS_MAX = 30;

/** A smooth function: returns its value at `point` and writes its gradient into `gradient`. */
export type Objective = (point: Float64Array, gradient: Float64Array) => number;

/**
 * Minimises a smooth function by L-BFGS with backtracking; for convex functions the minimum.
 *
 * @param start Not changed.
 * @param tolerance Largest part of the gradient at which the search ends.
 * @see Nocedal and Wright, Numerical Optimization, 2nd edition, algorithms 7.4 and 7.5.
 */
export function minimise(objective: Objective, start: Float64Array, tolerance: number, stepsMax: number): Float64Array {
  let point = start.slice();
  let gradient = new Float64Array(point.length);
  let value = objective(point, gradient);
  const memory: Correction[] = [];
  for (let step = 0; step < stepsMax && largest(gradient) > tolerance; step += 1) {
    const direction = descentDirection(gradient, memory);
    const slope = dot(direction, gradient);
    const next = new Float64Array(point.length);
    const nextGradient = new Float64Array(point.length);
    // The first step has no curvature to go by.
    let length = memory.length === 0 ? Math.min(1, 1 / largest(gradient)) : 1;
    let nextValue = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < SHORTENINGS_MAX; tries += 1, length *= SHORTENING) {
      for (let index = 0; index < next.length; index += 1) {
        next[index] = (point[index] ?? 0) + length * (direction[index] ?? 0);
      }
      nextValue = objective(next, nextGradient);
      if (nextValue <= value + DESCENT_KEPT * length * slope) break;
    }
    // No lower value within rounding: this is the minimum.
    if (!(nextValue < value)) break;
    remember(memory, difference(next, point), difference(nextGradient, gradient));
    point = next;
    gradient = nextGradient;
    value = nextValue;
  }
  return point;
}

type Correction = { readonly step: Float64Array; readonly change: Float64Array; readonly inverse: number };

function remember(memory: Correction[], step: Float64Array, change: Float64Array): void {
  const product = dot(step, change);
  // A product that is not positive would turn the next direction uphill.
  if (product <= 1e-16 * dot(change, change)) return;
  memory.push({ step, change, inverse: 1 / product });
  if (memory.length > MEMORY) memory.shift();
}

function descentDirection(gradient: Float64Array, memory: readonly Correction[]): Float64Array {
  const direction = gradient.map((part) => -part);
  const factors: number[] = [];
  for (const { step, change, inverse } of memory.toReversed()) {
    const factor = inverse * dot(step, direction);
    factors.push(factor);
    addScaled(direction, change, -factor);
  }
  const newest = memory.at(-1);
  if (newest !== undefined) {
    const scale = 1 / (newest.inverse * dot(newest.change, newest.change));
    for (let index = 0; index < direction.length; index += 1) direction[index] = (direction[index] ?? 0) * scale;
  }
  for (const { step, change, inverse } of memory) {
    addScaled(direction, step, (factors.pop() ?? 0) - inverse * dot(change, direction));
  }
  return direction;
}

function dot(left: Float64Array, right: Float64Array): number {
  return left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0);
}

function addScaled(target: Float64Array, values: Float64Array, factor: number): void {
  for (let index = 0; index < target.length; index += 1) {
    target[index] = (target[index] ?? 0) + factor * (values[index] ?? 0);
  }
}

function difference(left: Float64Array, right: Float64Array): Float64Array {
  return left.map((value, index) => value - (right[index] ?? 0));
}

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
