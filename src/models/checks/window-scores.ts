import type { ServedModel, Tensor, Tensors, TensorSpec } from '../../contracts/inference.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { ModelManifest } from '../../contracts/model-manifest.ts';
import { readable } from '../../contracts/tensor-data.ts';
import { elementCount, shapeText } from '../../contracts/tensor-shape.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';
import { tensorData } from './tensor-check.ts';

/** Types of a graph's input that take a window without a loss that matters. */
export const windowTypes: readonly Tensor['type'][] = ['float32', 'float64', 'float16'];

/**
 * Returns windows as a graph takes them, with its type and shape. The order of the values is the same.
 *
 * @param window Floats of [batch, steps, tags].
 */
export function asGraphTakes(window: Tensor, { type, dims }: TensorSpec): Tensor {
  const [batch = 0, ...own] = window.dims;
  const rest = dims.slice(1);
  const known = elementCount(rest.filter((size) => size !== -1));
  const filled = rest.map((size) => (size === -1 ? elementCount(own) / known : size));
  const isOpen = rest.length === own.length && rest.includes(-1);
  const shaped = isOpen ? window.dims : [batch, ...filled];
  if (type === window.type || !windowTypes.includes(type)) return { ...window, dims: shaped };
  return { type, dims: shaped, data: tensorData(type, Array.from(window.data as Float32Array)) };
}

/**
 * Returns the windows of a watch as the graph takes them. Any other input is returned unchanged, to be checked against the
 * graph: to fit it to another shape could put a value on another tag.
 */
export function windowFeed(
  { manifest, inputs: [spec] }: Pick<ServedModel, 'manifest' | 'inputs'>,
  feed: Tensors,
): Tensors {
  if (spec === undefined || !judgesWindows(manifest) || Object.keys(feed).length !== 1) return feed;
  const window = feed[manifest.input];
  const [, steps, tags, ...more] = window?.dims ?? [];
  const isWindow = steps === manifest.window.steps && tags === manifest.tags.length && more.length === 0;
  return window?.type === 'float32' && isWindow ? { [spec.name]: asGraphTakes(window, spec) } : feed;
}

/** Returns the name of the graph output with the score. */
export function scoreName({ output }: ModelManifest): string {
  return output.name ?? output.score;
}

/**
 * Returns one score for each window: the value of the score output, its `column`, or its values reduced to one.
 *
 * @param windows Values of the windows, for `reduce: mse`.
 * @throws {OperatingError} 'model-output-invalid' if there is not one finite number for each window.
 */
export function scoresOf(
  manifest: ModelManifest,
  outputs: Tensors,
  rows: number,
  windows: ArrayLike<number>,
): readonly number[] {
  const name = scoreName(manifest);
  const output = outputs[name];
  const values = output === undefined ? [] : Array.from<unknown, number>(readable(output), Number);
  const perRow = values.length / rows;
  const problem = output === undefined ? `has no output '${name}'` : scoreProblem(manifest, output.dims, perRow);
  if (problem !== undefined) throw invalid(manifest, problem);
  const scores = Array.from({ length: rows }, (_, row) => {
    const own = values.slice(row * perRow, (row + 1) * perRow);
    return scoreOf(manifest, own, output?.dims ?? [], (index) => windows[row * perRow + index] ?? Number.NaN);
  });
  if (scores.every(Number.isFinite)) return scores;
  throw invalid(manifest, `gives a score of '${name}' that is not a finite number`);
}

/**
 * Returns why a score output does not give one number for each window, with what to set in model.yaml; undefined if it does.
 *
 * @param dims Shape of the output, as declared or as returned; -1 is a dimension of any size.
 * @param perRow Number of values for each window.
 */
export function scoreProblem(manifest: ModelManifest, dims: readonly number[], perRow: number): string | undefined {
  const { column, reduce } = manifest.output;
  const name = scoreName(manifest);
  const shape = `gives '${name}' as ${shapeText(dims)}`;
  if (!Number.isInteger(perRow) || perRow < 1) return `${shape}, which is not one row for each window`;
  const columns = columnsOf(dims);
  if (column !== undefined && column >= columns)
    return `${shape}, which has no column ${column}. Set output.column in model.yaml to 0 to ${columns - 1}`;
  if (reduce === 'mse') {
    const { window, tags } = manifest;
    const wanted = window.steps * tags.length;
    if (perRow !== wanted)
      return `${shape}, ${perRow} values for each window, but output.reduce: mse compares it with the ${wanted} values of the window`;
    return undefined;
  }
  const left = column === undefined ? perRow : perRow / columns;
  if (left === 1 || reduce !== undefined) return undefined;
  return `${shape}, ${left} values for each window, expected one. Set in model.yaml output: { name, column, reduce }: column 0 to ${columns - 1} of the last dimension, or reduce: max, min, mean, sum, or mse for a reconstruction of the window`;
}

/** Returns the size of the last dimension; 1 for a shape that has only the batch. */
function columnsOf(dims: readonly number[]): number {
  return dims.length < 2 ? 1 : (dims.at(-1) ?? 1);
}

function scoreOf(
  { output: { column, reduce } }: ModelManifest,
  values: readonly number[],
  dims: readonly number[],
  windowValue: (index: number) => number,
): number {
  const picked = column === undefined ? values : values.filter((_, index) => index % columnsOf(dims) === column);
  const sum = (numbers: readonly number[]) => numbers.reduce((total, value) => total + value, 0);
  switch (reduce) {
    case undefined:
      return picked[0] ?? Number.NaN;
    case 'max':
      return picked.reduce((most, value) => Math.max(most, value));
    case 'min':
      return picked.reduce((least, value) => Math.min(least, value));
    case 'sum':
      return sum(picked);
    case 'mean':
      return sum(picked) / picked.length;
    case 'mse':
      return sum(values.map((value, index) => (value - windowValue(index)) ** 2)) / values.length;
  }
}

function invalid({ name, version }: ModelManifest, problem: string): Error {
  return inferenceFailure('model-output-invalid', `${name}@${version} ${problem}`);
}
