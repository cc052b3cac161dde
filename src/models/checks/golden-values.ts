import { isDeepStrictEqual } from 'node:util';
import type { Tensor, TensorData, TensorSpec } from '../../contracts/inference.ts';
import type { GoldenValues } from '../../contracts/model-manifest.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';
import { readable } from '../../contracts/tensor-data.ts';
import { tensorData } from './tensor-check.ts';
import { elementCount, shapeText } from '../../contracts/tensor-shape.ts';

/**
 * Returns the tensor of a golden vector. If its shape is missing, open dimensions are 1, except the first open one after
 * the batch dimension: its size follows from the number of values.
 */
export function goldenTensor(spec: TensorSpec, golden: GoldenValues): Tensor {
  const { dims, data } = Array.isArray(golden) ? { dims: impliedDims(spec, golden.length), data: golden } : golden;
  return { type: spec.type, dims, data: tensorData(spec.type, data) };
}

function impliedDims({ dims }: TensorSpec, length: number): readonly number[] {
  const open = dims.findIndex((size, axis) => size === -1 && axis > 0);
  const known = dims.map((size, axis) => (size === -1 && axis !== open ? 1 : size));
  return known.map((size) => (size === -1 ? length / elementCount(known.filter((other) => other !== -1)) : size));
}

/**
 * Compares an output with a golden vector: floats within the tolerance, other types exactly.
 *
 * @param place.vector Name of the vector, for the error.
 * @param place.row Row of the output that is compared, of `rows`.
 * @returns The largest difference of a float, relative to max(1, |expected|).
 * @throws {OperatingError} 'model-golden-mismatch' with the index and both values.
 */
export function compareGolden(
  place: { readonly vector: string; readonly name: string; readonly row: number; readonly rows: number },
  output: Tensor | undefined,
  expected: GoldenValues,
  tolerance: number,
): number {
  const { vector, name, row, rows } = place;
  const values = Array.isArray(expected) ? expected : expected.data;
  const found = output === undefined ? [] : readable(output);
  if (found.length !== values.length * rows)
    throw inferenceFailure(
      'model-golden-mismatch',
      `${vector} gives ${found.length / rows} values of '${name}' a row, expected ${values.length}`,
    );
  if (output !== undefined && !Array.isArray(expected) && rows === 1 && !isDeepStrictEqual(output.dims, expected.dims))
    throw inferenceFailure(
      'model-golden-mismatch',
      `${vector} gives '${name}' as ${shapeText(output.dims)}, expected ${shapeText(expected.dims)}`,
    );
  let largest = 0;
  for (const [index, value] of values.entries()) {
    const difference = differenceOf(output?.type, found[row * values.length + index], value);
    if (!(difference <= tolerance))
      throw inferenceFailure(
        'model-golden-mismatch',
        `${vector} gives ${String(found[row * values.length + index])} at ${index} of '${name}', expected ${value} within ${tolerance}`,
      );
    largest = Math.max(largest, difference);
  }
  return largest;
}

/** Returns the relative difference of floats; for other types 0 or infinity. */
function differenceOf(
  type: Tensor['type'] | undefined,
  found: TensorData[number] | undefined,
  expected: number | string | boolean,
): number {
  if (type === 'float16' || type === 'float32' || type === 'float64')
    return Math.abs(Number(found) - Number(expected)) / Math.max(1, Math.abs(Number(expected)));
  const wanted = typeof expected === 'boolean' ? String(Number(expected)) : String(expected);
  return String(found) === wanted ? 0 : Number.POSITIVE_INFINITY;
}
