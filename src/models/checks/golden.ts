import { isDeepStrictEqual } from 'node:util';
import type { Tensor, TensorData, Tensors, TensorSpec } from '../../contracts/inference.ts';
import type { AnyManifest, GoldenValues } from '../../contracts/model-manifest.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import { OperatingError } from '../../platform/errors.ts';
import { readable } from '../../contracts/tensor-data.ts';
import { elementCount, shapeText } from '../../contracts/tensor-shape.ts';
import { batchSize, joinRows } from './batch-rows.ts';
import { tensorData } from './tensor-check.ts';
import type { GoldenReport } from '../../contracts/model-session.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';

type Golden = {
  readonly inputs: Readonly<Record<string, GoldenValues>>;
  readonly outputs: Readonly<Record<string, GoldenValues>>;
};
type Vector = { readonly index: number; readonly golden: Golden; readonly feed: Tensors };
/** Name of the vector, for errors, and the row of the output that is compared, of `rows`. */
type Place = { readonly vector: string; readonly row: number; readonly rows: number };
type Run = (inputs: Tensors) => Promise<Tensors>;

/** Vectors in the batch that is checked in addition to the single vectors. */
const BATCH_ROWS_MAX = 64;

/**
 * Checks that a session gives the outputs of the golden vectors: each vector alone, then all of them as one batch,
 * because windows arrive in batches. A graph that reduces over the batch gives correct scores for single rows only.
 *
 * A graph that judges no windows may combine its rows. It is then run for one caller at a time.
 *
 * @param run Runs the session once.
 * @throws {OperatingError} 'model-golden-mismatch' with the vector, the output and both values.
 */
export async function checkGolden(
  manifest: AnyManifest,
  inputs: readonly TensorSpec[],
  run: Run,
): Promise<GoldenReport> {
  const vectors = manifest.golden.map((golden: Golden, index) => ({ index, golden, feed: feedOf(golden, inputs) }));
  let largestDifference = 0;
  for (const { index, golden, feed } of vectors) {
    const outputs = await run(feed);
    const place = { vector: `Golden vector ${index}`, row: 0, rows: 1 };
    largestDifference = Math.max(largestDifference, compare(manifest, golden, outputs, place));
  }
  const batch = inputs.length > 0 && inputs.every(({ dims }) => dims[0] === -1) ? batchable(vectors) : [];
  if (batch.length === 0) return { vectors: vectors.length, largestDifference, rowsStayApart: false };
  try {
    const difference = await compareBatch(manifest, batch, run);
    return { vectors: vectors.length, largestDifference: Math.max(largestDifference, difference), rowsStayApart: true };
  } catch (error) {
    if (judgesWindows(manifest) || !(error instanceof OperatingError)) throw error;
    return { vectors: vectors.length, largestDifference, rowsStayApart: false };
  }
}

/** Returns the inputs of a golden vector as tensors. */
export function feedOf(golden: Pick<Golden, 'inputs'>, specs: readonly TensorSpec[]): Tensors {
  return Object.fromEntries(specs.map((spec) => [spec.name, goldenTensor(spec, golden.inputs[spec.name] ?? [])]));
}

/** Returns the vectors of one row that have the shape of the first one. */
function batchable(vectors: readonly Vector[]): readonly Vector[] {
  const ofOneRow = vectors.filter(({ feed }) => batchSize(feed) === 1);
  const shape = rowShape(ofOneRow[0]?.feed ?? {});
  return ofOneRow.filter(({ feed }) => rowShape(feed) === shape).slice(0, BATCH_ROWS_MAX);
}

/** Returns the shapes of a row as a key. Rows with the same key can be joined. */
export function rowShape(tensors: Tensors): string {
  let shape = '';
  for (const name of Object.keys(tensors).sort()) shape += `${name}:${tensors[name]?.dims.slice(1).join('x')} `;
  return shape;
}

async function compareBatch(manifest: AnyManifest, batch: readonly Vector[], run: Run): Promise<number> {
  const feeds = batch.map(({ feed }) => feed);
  // A single vector gets a second row that differs: a mean over two equal rows would not be detected.
  const rows = feeds.length === 1 ? [...feeds, ...feeds.map(companion)] : feeds;
  if (!judgesWindows(manifest) && isDeepStrictEqual(rows[0], rows[1]))
    throw inferenceFailure(
      'model-golden-mismatch',
      'The golden vectors have equal rows only, which cannot prove a batch',
    );
  const outputs = await run(joinRows(rows));
  let largest = 0;
  for (const [row, { index, golden }] of batch.entries()) {
    const place = { vector: `Golden vector ${index}, as row ${row} of a batch,`, row, rows: rows.length };
    largest = Math.max(largest, compare(manifest, golden, outputs, place));
  }
  return largest;
}

/** Returns other valid inputs: the values in reverse order, floats halved and shifted. */
function companion(feed: Tensors): Tensors {
  return Object.fromEntries(
    Object.entries(feed).map(([name, tensor]): [string, Tensor] => [name, { ...tensor, data: reversed(tensor.data) }]),
  );
}

function reversed(data: TensorData): TensorData {
  if (data instanceof Float32Array || data instanceof Float64Array)
    return data.toReversed().map((value) => value / 2 + 0.25);
  return data.toReversed();
}

/**
 * Compares one row of outputs with a golden vector: floats within the tolerance, other types exactly.
 *
 * @returns The largest difference of a float, relative to max(1, |expected|).
 * @throws {OperatingError} 'model-golden-mismatch' with the index and both values.
 */
function compare(manifest: AnyManifest, golden: Golden, outputs: Tensors, { vector, row, rows }: Place): number {
  let largest = 0;
  const mismatch = (text: string) => inferenceFailure('model-golden-mismatch', `${vector} gives ${text}`);
  for (const [name, expected] of Object.entries(golden.outputs)) {
    const values = Array.isArray(expected) ? expected : expected.data;
    const output = outputs[name];
    const found = output === undefined ? [] : readable(output);
    if (output === undefined || found.length !== values.length * rows)
      throw mismatch(`${found.length / rows} values of '${name}' a row, expected ${values.length}`);
    if (!Array.isArray(expected) && rows === 1 && !isDeepStrictEqual(output.dims, expected.dims))
      throw mismatch(`'${name}' as ${shapeText(output.dims)}, expected ${shapeText(expected.dims)}`);
    for (const [index, value] of values.entries()) {
      const own = found[row * values.length + index];
      const difference = differenceOf(output.type, own, value);
      if (!(difference <= manifest.goldenTolerance))
        throw mismatch(`${String(own)} at ${index} of '${name}', expected ${value} within ${manifest.goldenTolerance}`);
      largest = Math.max(largest, difference);
    }
  }
  return largest;
}

/** Returns the relative difference of floats; for other types 0 or infinity. */
function differenceOf(
  type: Tensor['type'],
  found: TensorData[number] | undefined,
  expected: number | string | boolean,
): number {
  if (type === 'float16' || type === 'float32' || type === 'float64')
    return Math.abs(Number(found) - Number(expected)) / Math.max(1, Math.abs(Number(expected)));
  const wanted = typeof expected === 'boolean' ? String(Number(expected)) : String(expected);
  return String(found) === wanted ? 0 : Number.POSITIVE_INFINITY;
}

/**
 * Returns the tensor of a golden vector. If its shape is missing, open dimensions are 1, except the first open one after
 * the batch dimension: its size follows from the number of values.
 */
function goldenTensor(spec: TensorSpec, golden: GoldenValues): Tensor {
  const { dims, data } = Array.isArray(golden) ? { dims: impliedDims(spec, golden.length), data: golden } : golden;
  return { type: spec.type, dims, data: tensorData(spec.type, data) };
}

function impliedDims({ dims }: TensorSpec, length: number): readonly number[] {
  const open = dims.findIndex((size, axis) => size === -1 && axis > 0);
  const known = dims.map((size, axis) => (size === -1 && axis !== open ? 1 : size));
  return known.map((size) => (size === -1 ? length / elementCount(known.filter((other) => other !== -1)) : size));
}
