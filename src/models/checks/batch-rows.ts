import type { Tensor, TensorData, Tensors, TensorSpec } from '../../contracts/inference.ts';
import { invariant } from '../../platform/errors.ts';
import type { HostRun } from '../../contracts/model-session.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';
import { elementCount } from '../../contracts/tensor-shape.ts';

/** Returns the number of rows that a graph takes in each run, by the first dimension of its inputs; undefined for any number. */
export function fixedBatch(inputs: readonly TensorSpec[]): number | undefined {
  const size = inputs[0]?.dims[0] ?? -1;
  return size >= 1 && inputs.every(({ dims }) => dims[0] === size) ? size : undefined;
}

/** Returns whether the first dimension of every input and output has any size, as a batch has. */
export function hasRows(inputs: readonly TensorSpec[], outputs: readonly TensorSpec[]): boolean {
  return inputs.length > 0 && [...inputs, ...outputs].every(({ dims }) => dims[0] === -1);
}

/** Returns the specs with any number of rows; the host runs the rows one after another. */
export function withAnyBatch(specs: readonly TensorSpec[]): readonly TensorSpec[] {
  return specs.map((spec) => ({ ...spec, dims: [-1, ...spec.dims.slice(1)] }));
}

/** Returns the number of rows of a batch; undefined if the inputs have different numbers. */
export function batchSize(inputs: Tensors): number | undefined {
  const sizes = new Set(Object.values(inputs).map(({ dims }) => dims[0]));
  return sizes.size === 1 ? [...sizes][0] : undefined;
}

/** Returns row `row` of each tensor as a batch of one. The data is shared, not copied. */
export function rowOf(tensors: Tensors, row: number): Tensors {
  return rowsOf(tensors, row, 1);
}

/** Returns `count` rows of each tensor, starting at `first`. The data is shared, not copied. */
export function rowsOf(tensors: Tensors, first: number, count: number): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { type, dims, data }]) => {
      const length = elementCount(dims.slice(1));
      const part = slice(data, first * length, (first + count) * length);
      return [name, { type, dims: [count, ...dims.slice(1)], data: part }];
    }),
  );
}

/**
 * Runs a batch row by row, for a graph that takes a fixed number of rows: each row fills the batch of a run, so that no other
 * row has an effect on it.
 *
 * @param batch Rows of a run.
 * @throws {OperatingError} 'model-input-invalid' if the inputs have different numbers of rows.
 */
export async function runRowByRow(
  inputs: Tensors,
  batch: number,
  run: (rows: Tensors) => Promise<HostRun>,
): Promise<HostRun> {
  const rows = batchSize(inputs);
  if (rows === undefined) throw inferenceFailure('model-input-invalid', 'The inputs have different batch sizes');
  const results: HostRun[] = [];
  for (let row = 0; row < rows; row += 1) {
    const { outputs, ...times } = await run(joinRows(Array.from({ length: batch }, () => rowOf(inputs, row))));
    results.push({ outputs: firstOf(outputs, batch), ...times });
  }
  return {
    outputs: joinRows(results.map(({ outputs }) => outputs)),
    runMs: results.reduce((sum, { runMs }) => sum + runMs, 0),
    cpuMs: results.every(({ cpuMs }) => cpuMs !== undefined)
      ? results.reduce((sum, { cpuMs = 0 }) => sum + cpuMs, 0)
      : undefined,
  };
}

/** Returns the first of equal rows. An output that does not have them is returned as one row. */
function firstOf(outputs: Tensors, batch: number): Tensors {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, tensor]) => {
      if (tensor.dims[0] === batch) return [name, rowOf({ tensor }, 0)['tensor'] ?? tensor];
      return [name, { ...tensor, dims: [1, ...tensor.dims] }];
    }),
  );
}

/** Joins rows to one batch. */
export function joinRows(rows: readonly Tensors[]): Tensors {
  const first = rows[0];
  invariant(first !== undefined, 'a batch has a row');
  return Object.fromEntries(
    Object.entries(first).map(([name, { type, dims, data }]) => {
      const tensors = rows.flatMap((row) => row[name] ?? []);
      const count = tensors.reduce((sum, tensor) => sum + (tensor.dims[0] ?? 1), 0);
      return [name, { type, dims: [count, ...dims.slice(1)], data: concatenate(data, tensors) }];
    }),
  );
}

function concatenate(like: TensorData, tensors: readonly Tensor[]): TensorData {
  if (Array.isArray(like)) return tensors.flatMap(({ data }) => data as readonly string[]);
  const length = tensors.reduce((sum, { data }) => sum + data.length, 0);
  // The constructor of every typed array takes a length, but TypeScript cannot call their union.
  const joined = new (like.constructor as Float32ArrayConstructor)(length);
  let offset = 0;
  for (const { data } of tensors) {
    joined.set(data as Float32Array, offset);
    offset += data.length;
  }
  return joined;
}

function slice(data: TensorData, from: number, to: number): TensorData {
  return ArrayBuffer.isView(data) ? data.subarray(from, to) : data.slice(from, to);
}
