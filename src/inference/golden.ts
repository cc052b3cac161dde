import type { Tensor, Tensors, TensorSpec } from '../contracts/inference.ts';
import type { ModelManifest } from '../contracts/model-manifest.ts';
import { joinRows } from './batch-rows.ts';
import type { GoldenReport } from './host-protocol.ts';
import { inferenceFailure } from './inference-failure.ts';
import { elementCount, tensorData } from './tensor-check.ts';

type Golden = ModelManifest['golden'][number];

/** Vectors that go into the one batch that is checked too. */
const BATCH_ROWS_MAX = 64;

/**
 * Checks that a session still does what the model did when it was made: each golden vector alone, then all
 * of them as one batch, since that is how windows arrive (a graph that reduces over the batch gives the right
 * score alone and a wrong one in company).
 *
 * @param run One run of the session, shapes and finiteness checked.
 * @throws {OperatingError} 'model-golden-mismatch' with the vector, the output and both values.
 */
export async function checkGolden(
  manifest: ModelManifest,
  inputs: readonly TensorSpec[],
  run: (inputs: Tensors) => Promise<Tensors>,
): Promise<GoldenReport> {
  const feeds = manifest.golden.map((golden) => goldenInputs(golden, inputs));
  let largestDifference = 0;
  for (const [index, golden] of manifest.golden.entries()) {
    const outputs = await run(feeds[index] ?? {});
    largestDifference = Math.max(largestDifference, compare(manifest, golden, outputs, `Golden vector ${index}`, 0, 1));
  }
  if (inputs.every(({ dims }) => dims[0] === -1)) {
    const batch = [...manifest.golden.entries()].slice(0, BATCH_ROWS_MAX);
    // A lone vector goes in twice: two rows are the least that can disturb each other.
    const rows = batch.length === 1 ? [...batch, ...batch] : batch;
    const outputs = await run(joinRows(rows.map(([index]) => feeds[index] ?? {})));
    for (const [row, [index, golden]] of rows.entries())
      largestDifference = Math.max(
        largestDifference,
        compare(manifest, golden, outputs, `Golden vector ${index}, as row ${row} of a batch,`, row, rows.length),
      );
  }
  return { vectors: manifest.golden.length, largestDifference };
}

function goldenInputs(golden: Golden, specs: readonly TensorSpec[]): Tensors {
  return Object.fromEntries(specs.map((spec) => [spec.name, goldenTensor(spec, golden.inputs[spec.name] ?? [])]));
}

/** A batch of one; one further open dimension takes what the number of values leaves. */
function goldenTensor(spec: TensorSpec, values: readonly number[]): Tensor {
  const dims = spec.dims.map((size, axis) => (axis === 0 && size === -1 ? 1 : size));
  const open = dims.indexOf(-1);
  if (open >= 0) dims[open] = values.length / elementCount(dims.filter((size) => size !== -1));
  return { type: spec.type, dims, data: tensorData(spec.type, values) };
}

/** @returns The largest difference, relative to max(1, |expected|). */
function compare(
  manifest: ModelManifest,
  golden: Golden,
  outputs: Tensors,
  vector: string,
  row: number,
  rows: number,
): number {
  let largest = 0;
  for (const [name, expected] of Object.entries(golden.outputs)) {
    const data = outputs[name]?.data ?? [];
    if (data.length !== expected.length * rows)
      throw inferenceFailure(
        'model-golden-mismatch',
        `${vector} gives ${data.length / rows} values of '${name}' a row, expected ${expected.length}`,
      );
    for (const [index, value] of expected.entries()) {
      const found = Number(data[row * expected.length + index]);
      const difference = Math.abs(found - value) / Math.max(1, Math.abs(value));
      if (!(difference <= manifest.goldenTolerance))
        throw inferenceFailure(
          'model-golden-mismatch',
          `${vector} gives ${found} at ${index} of '${name}', expected ${value} within ${manifest.goldenTolerance}`,
        );
      largest = Math.max(largest, difference);
    }
  }
  return largest;
}
