import type { TensorSpec } from '../contracts/inference.ts';
import type { ModelManifest } from '../contracts/model-manifest.ts';
import { inferenceFailure } from './inference-failure.ts';
import { shapeText } from './tensor-check.ts';

/**
 * Holds the graph to what its manifest says: one input `[batch, steps, tags]` of float32 beside which nothing
 * else is needed, and outputs for the score and, where named, the contributions.
 *
 * @throws {OperatingError} 'model-load-failed'
 */
export function checkGraphContract(
  manifest: ModelManifest,
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[],
): void {
  const wanted = [-1, manifest.window.steps, manifest.tags.length];
  const window = inputs.find(({ name }) => name === manifest.input);
  if (window === undefined || inputs.length !== 1)
    throw mismatch(`has inputs ${names(inputs)}, expected '${manifest.input}' alone`);
  if (window.type !== 'float32') throw mismatch(`takes '${window.name}' as ${window.type}, expected float32`);
  if (!agrees(window.dims, wanted))
    throw mismatch(`takes '${window.name}' as ${shapeText(window.dims)}, expected ${shapeText(wanted)}`);
  const { score, contributions } = manifest.output;
  checkOutput(outputs, score);
  if (contributions !== undefined) checkOutput(outputs, contributions);
}

function checkOutput(outputs: readonly TensorSpec[], name: string): void {
  const output = outputs.find((candidate) => candidate.name === name);
  if (output === undefined) throw mismatch(`has outputs ${names(outputs)}, but no '${name}'`);
  if (output.type !== 'float32') throw mismatch(`gives '${name}' as ${output.type}, expected float32`);
}

/** A size left open on either side fits any. */
function agrees(found: readonly number[], wanted: readonly number[]): boolean {
  if (found.length !== wanted.length) return false;
  return wanted.every((size, axis) => size === -1 || found[axis] === -1 || found[axis] === size);
}

function names(specs: readonly TensorSpec[]): string {
  return specs.map(({ name }) => `'${name}'`).join(', ');
}

function mismatch(message: string): Error {
  return inferenceFailure('model-load-failed', `The graph ${message}`);
}
