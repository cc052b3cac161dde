import type { ServedModel, Tensors } from '../../contracts/inference.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import { batchSize, joinRows, rowsOf } from '../../models/checks/batch-rows.ts';
import { checkInputs } from '../../models/checks/tensor-check.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import type { OperatingError } from '../../platform/errors.ts';
import type { QueuedModel, RunRequest } from './worker.ts';

export function deadlineMs({ queuedMs, model }: RunRequest): number {
  return queuedMs + model.use.serving.deadlineMs;
}

/** Due immediately if the batch is full or cannot be one; else when the oldest request has waited for the delay. */
export function dueMs(model: QueuedModel, waiting: readonly RunRequest[]): number {
  const first = waiting[0];
  if (first === undefined) return Number.POSITIVE_INFINITY;
  const { batchMax, delayMsMax } = model.use.serving;
  if (first.joinKey === undefined) return first.queuedMs;
  const rows = waiting.reduce((sum, request) => sum + (request.joinKey === first.joinKey ? request.rows : 0), 0);
  return rows >= batchMax ? first.queuedMs : first.queuedMs + delayMsMax;
}

/** Removes the oldest request, and later ones that can join it up to `rowsMax` rows, from `waiting`. */
export function takeBatch<M extends QueuedModel>(waiting: RunRequest<M>[], rowsMax: number): readonly RunRequest<M>[] {
  const first = waiting[0];
  const batch: RunRequest<M>[] = [];
  const others: RunRequest<M>[] = [];
  let rows = 0;
  for (const request of waiting) {
    const joins =
      request === first ||
      (request.joinKey !== undefined && request.joinKey === first?.joinKey && rows + request.rows <= rowsMax);
    if (joins) rows += request.rows;
    (joins ? batch : others).push(request);
  }
  waiting.splice(0, waiting.length, ...others);
  return batch;
}

export function waitedTooLong({ queuedMs }: RunRequest, nowMs: number): OperatingError {
  return inferenceFailure('inference-timeout', `Waited ${Math.round(nowMs - queuedMs)} ms behind other runs`);
}

/** Why a model cannot take the inputs of a request that was made for another version; undefined if it can. */
export function incompatibility({ specs, inputs }: RunRequest, served: ServedModel): unknown {
  if (specs === served.inputs) return undefined;
  try {
    checkInputs(served.inputs, inputs, judgesWindows(served.manifest) ? 1 : 0);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Returns the inputs of all requests as one batch, in their order; those of a single request as they are. */
export function joinRequests(requests: readonly RunRequest[]): Tensors {
  const [first] = requests;
  if (first !== undefined && requests.length === 1) return first.inputs;
  return joinRows(requests.map(({ inputs }) => inputs));
}

/** @throws {OperatingError} 'model-output-invalid' if the model does not return one row for each row. */
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
