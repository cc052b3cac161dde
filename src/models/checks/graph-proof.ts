import type { Tensors, TensorSpec } from '../../contracts/inference.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { AnyManifest, ModelManifest } from '../../contracts/model-manifest.ts';
import { batchSize, fixedBatch, hasRows, withAnyBatch } from './batch-rows.ts';
import { checkGolden } from './golden.ts';
import { checkGraphContract } from './graph-contract.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';
import { scoreName, scoreProblem } from './window-scores.ts';
import type { LoadedSession } from '../../contracts/model-session.ts';

/** Inputs and outputs that a graph declares. */
export type GraphSpecs = { readonly inputs: readonly TensorSpec[]; readonly outputs: readonly TensorSpec[] };

/**
 * Proves that a graph matches its manifest: inputs, outputs, and the golden vectors alone and as a batch.
 *
 * @param run Runs the graph once. `batch` is the number of rows if the graph takes a fixed number, so that a batch must be split.
 * @throws {OperatingError} 'model-load-failed', 'model-golden-mismatch', and the errors of a run.
 */
export async function proveGraph(
  manifest: AnyManifest,
  { inputs, outputs }: GraphSpecs,
  run: (feeds: Tensors, batch: number | undefined) => Promise<Tensors>,
): Promise<Omit<LoadedSession, 'nodesByProvider' | 'loadMs'>> {
  const batch = judgesWindows(manifest) ? fixedBatch(inputs) : undefined;
  const seen =
    batch === undefined ? { inputs, outputs } : { inputs: withAnyBatch(inputs), outputs: withAnyBatch(outputs) };
  checkGraphContract(manifest, seen.inputs, seen.outputs, inputs);
  const golden = await checkGolden(manifest, seen.inputs, async (feeds) => {
    const found = await run(feeds, batch);
    if (judgesWindows(manifest)) checkScores(manifest, feeds, found);
    return found;
  });
  const apart = golden.rowsStayApart && hasRows(inputs, outputs);
  return { ...seen, golden, batching: batch !== undefined ? 'row-by-row' : apart ? 'rows' : 'none' };
}

/** Checks the shape of the score as the graph returns it: exporters also declare open and wrong ones. */
function checkScores(manifest: ModelManifest, feeds: Tensors, outputs: Tensors): void {
  const output = outputs[scoreName(manifest)];
  if (output === undefined) return;
  const perRow = output.data.length / (batchSize(feeds) ?? 1);
  const problem = scoreProblem(manifest, [-1, ...output.dims.slice(1)], perRow);
  if (problem !== undefined) throw inferenceFailure('model-load-failed', `The graph ${problem}`);
}
