import { isDeepStrictEqual } from 'node:util';
import type { Tensor, TensorData, Tensors, TensorSpec } from '../../contracts/inference.ts';
import type { AnyManifest, GoldenValues } from '../../contracts/model-manifest.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import { OperatingError } from '../../platform/errors.ts';
import { batchSize, joinRows } from './batch-rows.ts';
import { compareGolden, goldenTensor } from './golden-values.ts';
import type { GoldenReport } from '../../contracts/model-session.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';

type Golden = {
  readonly inputs: Readonly<Record<string, GoldenValues>>;
  readonly outputs: Readonly<Record<string, GoldenValues>>;
};
type Vector = { readonly index: number; readonly golden: Golden; readonly feed: Tensors };
type Run = (inputs: Tensors) => Promise<Tensors>;

/** Vectors that go into the one batch that is checked too. */
const BATCH_ROWS_MAX = 64;

/**
 * Checks that a session still does what the model did when it was made: each golden vector alone, then all
 * of them as one batch, since that is how windows arrive (a graph that reduces over the batch gives the right
 * score alone and a wrong one in company).
 *
 * A graph that judges no windows may well mix what lies along its first dimension: then it is run for one caller
 * at a time.
 *
 * @param run One run of the session.
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

/** The inputs of a golden vector as the graph takes them. */
export function feedOf(golden: Pick<Golden, 'inputs'>, specs: readonly TensorSpec[]): Tensors {
  return Object.fromEntries(specs.map((spec) => [spec.name, goldenTensor(spec, golden.inputs[spec.name] ?? [])]));
}

/** The vectors of one row that go together with the first of them. */
function batchable(vectors: readonly Vector[]): readonly Vector[] {
  const ofOneRow = vectors.filter(({ feed }) => batchSize(feed) === 1);
  const shape = rowShape(ofOneRow[0]?.feed ?? {});
  return ofOneRow.filter(({ feed }) => rowShape(feed) === shape).slice(0, BATCH_ROWS_MAX);
}

/** Shapes of a row, as a key: rows of the same can be joined. */
export function rowShape(tensors: Tensors): string {
  let shape = '';
  for (const name of Object.keys(tensors).sort()) shape += `${name}:${tensors[name]?.dims.slice(1).join('x')} `;
  return shape;
}

async function compareBatch(manifest: AnyManifest, batch: readonly Vector[], run: Run): Promise<number> {
  const feeds = batch.map(({ feed }) => feed);
  // A lone vector gets company that differs from it: a mean over two equal rows would not be noticed.
  const rows = feeds.length === 1 ? [...feeds, ...feeds.map(companion)] : feeds;
  if (!judgesWindows(manifest) && isDeepStrictEqual(rows[0], rows[1]))
    throw inferenceFailure('model-golden-mismatch', 'Rows that are all alike prove nothing of a batch');
  const outputs = await run(joinRows(rows));
  let largest = 0;
  for (const [row, { index, golden }] of batch.entries()) {
    const place = { vector: `Golden vector ${index}, as row ${row} of a batch,`, row, rows: rows.length };
    largest = Math.max(largest, compare(manifest, golden, outputs, place));
  }
  return largest;
}

/** Values that the graph takes as well: the same in another order, floats halved and moved besides. */
function companion(feed: Tensors): Tensors {
  return Object.fromEntries(
    Object.entries(feed).map(([name, tensor]): [string, Tensor] => [name, { ...tensor, data: reversed(tensor.data) }]),
  );
}

function reversed(data: TensorData): TensorData {
  if (data instanceof Float32Array || data instanceof Float64Array)
    return data.toReversed().map((value) => value / 2 + 0.25);
  // Of a read-only array `toReversed` makes another, as it does of each typed array.
  return data.toReversed();
}

/** @returns The largest difference, relative to max(1, |expected|). */
function compare(
  manifest: AnyManifest,
  golden: Golden,
  outputs: Tensors,
  place: { readonly vector: string; readonly row: number; readonly rows: number },
): number {
  const differences = Object.entries(golden.outputs).map(([name, expected]) =>
    compareGolden({ ...place, name }, outputs[name], expected, manifest.goldenTolerance),
  );
  return Math.max(0, ...differences);
}
