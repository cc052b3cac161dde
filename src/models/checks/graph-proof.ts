import type { Tensors, TensorSpec } from '../../contracts/inference.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import { hasRows, takesOneRow, withAnyBatch } from './batch-rows.ts';
import { checkGolden } from './golden.ts';
import { checkGraphContract } from './graph-contract.ts';
import type { LoadedSession } from '../../contracts/model-session.ts';

/** Inputs and outputs that a graph declares. */
export type GraphSpecs = { readonly inputs: readonly TensorSpec[]; readonly outputs: readonly TensorSpec[] };

/**
 * Proves that a graph matches its manifest: inputs, outputs, and the golden vectors alone and as a batch.
 *
 * @param run Runs the graph once. `rowByRow` is true if the graph takes one row only, so a batch must be split.
 * @throws {OperatingError} 'model-load-failed', 'model-golden-mismatch', and the errors of a run.
 */
export async function proveGraph(
  manifest: AnyManifest,
  { inputs, outputs }: GraphSpecs,
  run: (feeds: Tensors, rowByRow: boolean) => Promise<Tensors>,
): Promise<Omit<LoadedSession, 'nodesByProvider' | 'loadMs'>> {
  const rowByRow = judgesWindows(manifest) && takesOneRow(inputs, outputs);
  const seen = rowByRow ? { inputs: withAnyBatch(inputs), outputs: withAnyBatch(outputs) } : { inputs, outputs };
  checkGraphContract(manifest, seen.inputs, seen.outputs);
  const golden = await checkGolden(manifest, seen.inputs, (feeds) => run(feeds, rowByRow));
  const apart = golden.rowsStayApart && hasRows(inputs, outputs);
  return { ...seen, golden, batching: rowByRow ? 'row-by-row' : apart ? 'rows' : 'none' };
}
