import type { TensorSpec } from '../../contracts/inference.ts';
import type { AnyManifest, GraphManifest, ModelManifest } from '../../contracts/model-manifest.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';
import { shapeText } from '../../contracts/tensor-shape.ts';

/**
 * Checks the inputs and outputs of a graph against its manifest. If the graph judges no windows, only the names in the
 * golden vectors are checked.
 *
 * @throws {OperatingError} 'model-load-failed'
 */
export function checkGraphContract(
  manifest: AnyManifest,
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[],
): void {
  if (judgesWindows(manifest)) checkWindowContract(manifest, inputs, outputs);
  else checkGoldenNames(manifest, inputs, outputs);
}

function checkGoldenNames(
  { golden }: GraphManifest,
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[],
): void {
  for (const vector of golden) {
    const input = Object.keys(vector.inputs).find((key) => !inputs.some(({ name }) => name === key));
    if (input !== undefined) throw mismatch(`has inputs ${names(inputs)}, but the golden vectors have '${input}'`);
    const output = Object.keys(vector.outputs).find((key) => !outputs.some(({ name }) => name === key));
    if (output !== undefined) throw mismatch(`has outputs ${names(outputs)}, but the golden vectors have '${output}'`);
  }
}

/**
 * Expects one input, float32 `[batch, steps, tags]`, and outputs for the score and, if named, the contributions.
 *
 * @throws {OperatingError} 'model-load-failed'
 */
function checkWindowContract(
  manifest: ModelManifest,
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[],
): void {
  const wanted = [-1, manifest.window.steps, manifest.tags.length];
  const window = inputs.find(({ name }) => name === manifest.input);
  if (window === undefined || inputs.length !== 1)
    throw mismatch(`has inputs ${names(inputs)}, expected '${manifest.input}' only`);
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

/** A dimension of any size (-1) on either side matches every size. */
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
