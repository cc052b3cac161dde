import type { Tensors } from '../../contracts/inference.ts';
import { batchSize, joinRows, rowsOf } from '../../models/checks/batch-rows.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import type { RunRequest } from './run-queue.ts';

/** The requests' inputs as one batch, in their order; those of one request as they are. */
export function joinRequests(requests: readonly RunRequest[]): Tensors {
  const [first] = requests;
  if (first !== undefined && requests.length === 1) return first.inputs;
  return joinRows(requests.map(({ inputs }) => inputs));
}

/**
 * The outputs of each request.
 *
 * @throws {OperatingError} 'model-output-invalid' where the model does not give a row for each row.
 */
export function splitOutputs(outputs: Tensors, requests: readonly RunRequest[]): readonly Tensors[] {
  if (requests.length === 1) return [outputs];
  const rows = requests.reduce((sum, request) => sum + request.rows, 0);
  const found = batchSize(outputs);
  if (found !== rows)
    throw inferenceFailure(
      'model-output-invalid',
      `A batch of ${rows} rows gave ${found ?? 'different numbers of'} rows`,
    );
  let first = 0;
  return requests.map((request) => {
    const part = rowsOf(outputs, first, request.rows);
    first += request.rows;
    return part;
  });
}
