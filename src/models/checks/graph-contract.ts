import type { TensorSpec } from '../../contracts/inference.ts';
import type { AnyManifest, GraphManifest, ModelManifest } from '../../contracts/model-manifest.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';
import { shapeText } from '../../contracts/tensor-shape.ts';
import { scoreName, windowTypes } from './window-scores.ts';

/**
 * Checks the inputs and outputs of a graph against its manifest. If the graph judges no windows, only the names in the
 * golden vectors are checked.
 *
 * @param declared Inputs as the graph declares them, with a fixed batch if it has one.
 * @throws {OperatingError} 'model-load-failed'
 */
export function checkGraphContract(
  manifest: AnyManifest,
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[],
  declared: readonly TensorSpec[] = inputs,
): void {
  if (judgesWindows(manifest)) checkWindowContract(manifest, inputs, outputs, declared);
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
 * Expects one input, float [batch, steps, tags] or with the rows of the window joined, and outputs for the score and, if
 * named, the contributions.
 *
 * @throws {OperatingError} 'model-load-failed'
 */
function checkWindowContract(
  manifest: ModelManifest,
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[],
  declared: readonly TensorSpec[],
): void {
  const window = inputs.find(({ name }) => name === manifest.input);
  if (inputs.length > 1)
    throw mismatch(
      `has ${inputs.length} inputs, ${names(inputs)}, expected '${manifest.input}' only: a watch gives one window of numbers. Join the columns to one input before the export, or serve the model to clients only (task: other)`,
    );
  if (window === undefined)
    throw mismatch(
      `has inputs ${names(inputs)}, expected '${manifest.input}' only. Set input: in model.yaml to its name`,
    );
  if (!windowTypes.includes(window.type))
    throw mismatch(
      `takes '${window.name}' as ${window.type}, expected ${windowTypes.join(', ')}. Export the graph with one of them; it can convert the input itself`,
    );
  checkWindowShape(manifest, window, declared.find(({ name }) => name === window.name)?.dims ?? []);
  const score = outputOf(outputs, scoreName(manifest));
  if (score.type === 'string' || score.type === 'bool')
    throw mismatch(`gives '${score.name}' as ${score.type}, expected numbers. Convert it to float32 before the export`);
  for (const named of [manifest.output.contributions, manifest.imputation?.parts]) {
    if (named === undefined) continue;
    const { name, type } = outputOf(outputs, named);
    if (type !== 'float32') throw mismatch(`gives '${name}' as ${type}, expected float32`);
  }
}

function checkWindowShape(
  { window: { steps, flat }, tags }: ModelManifest,
  { name, dims }: TensorSpec,
  declared: readonly number[],
): void {
  const columns = tags.length;
  const wanted = flat ? [-1, steps * columns] : [-1, steps, columns];
  if (declared.includes(0))
    throw mismatch(
      `takes '${name}' as ${shapeText(declared)}, expected ${shapeText(wanted)}: a dimension of 0 has no values. Export the graph with a dynamic batch, or with a batch of 1`,
    );
  // Dimensions of 1 change neither the number nor the order of the values.
  if (agrees(dims, wanted) || agrees(withoutOnes(dims), withoutOnes(wanted))) return;
  const found = `takes '${name}' as ${shapeText(dims)}, expected ${shapeText(wanted)}: ${steps} steps of ${columns} tags`;
  if (!declared.includes(-1) && shapeText(declared) === shapeText(wanted.slice(1)))
    throw mismatch(
      `takes '${name}' as ${shapeText(declared)}, expected ${shapeText(wanted)}: ${steps} steps of ${columns} tags. The graph has no dimension for the batch: export it with an input of the shape ${shapeText([1, ...declared])}${flat ? '' : `, or, if it judges ${steps} single rows, set window: { steps: 1 }`}`,
    );
  const [, row] = withoutOnes(dims);
  if (agrees(withoutOnes(dims), withoutOnes([-1, steps * columns])))
    throw mismatch(
      `${found}. For a graph that takes the window as one row, set window: { steps: ${steps}, flat: true }`,
    );
  if (agrees(withoutOnes(dims), withoutOnes([-1, columns])) && row === columns)
    throw mismatch(`${found}. For a graph that judges one row, set window: { steps: 1 }`);
  if (agrees(withoutOnes(dims), withoutOnes([-1, columns, steps])))
    throw mismatch(`${found}. The graph has the tags before the steps: transpose its input before the export`);
  throw mismatch(
    `${found}. Export the graph with this input, or set window.steps and tags in model.yaml to those of the graph`,
  );
}

/** Returns a shape without the dimensions of 1 after the batch. */
function withoutOnes([batch = -1, ...rest]: readonly number[]): readonly number[] {
  return [batch, ...rest.filter((size) => size !== 1)];
}

function outputOf(outputs: readonly TensorSpec[], name: string): TensorSpec {
  const output = outputs.find((candidate) => candidate.name === name);
  if (output !== undefined) return output;
  throw mismatch(`has outputs ${names(outputs)}, but no '${name}'. Set output: { name } in model.yaml`);
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
