import type { Tensors, TensorSpec } from '../../contracts/inference.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import { hasRows, takesOneRow, withAnyBatch } from './batch-rows.ts';
import { checkGolden } from './golden.ts';
import { checkGraphContract } from './graph-contract.ts';
import type { LoadedSession } from '../../contracts/model-session.ts';

/** What a graph takes and gives as it declares it, wherever it runs. */
export type GraphSpecs = { readonly inputs: readonly TensorSpec[]; readonly outputs: readonly TensorSpec[] };

/**
 * Proves that a graph is the model its manifest describes: its inputs and outputs, and what it makes of the golden
 * vectors, alone and as a batch.
 *
 * @param run One run of it; `rowByRow` where the graph takes one row, so that a batch must go row by row.
 * @throws {OperatingError} 'model-load-failed', 'model-golden-mismatch', and what a run failed by.
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
