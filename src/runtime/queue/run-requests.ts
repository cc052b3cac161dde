import type { RunPriority, RunResult, ServedModel, Tensors, TensorSpec } from '../../contracts/inference.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { HostRun, RunParams } from '../../contracts/model-session.ts';
import { batchSize, joinRows, rowsOf } from '../../models/checks/batch-rows.ts';
import { checkInputs } from '../../models/checks/tensor-check.ts';
import { isLoss } from '../../models/errors/host-loss.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import type { ModelUse } from './model-use.ts';

/** A model as the scheduler sees it. Compared by identity. */
export type QueuedModel = { readonly label: string; readonly use: ModelUse };

export type RunRequest<M extends QueuedModel = QueuedModel> = {
  readonly model: M;
  readonly priority: RunPriority;
  readonly inputs: Tensors;
  /** Specs that the inputs were checked against. */
  readonly specs: readonly TensorSpec[];
  /** 1 if the inputs have no rows. */
  readonly rows: number;
  /** Requests with the same key can run as one batch; undefined if this one must run alone. */
  readonly joinKey: string | undefined;
  /** Monotonic. */
  readonly queuedMs: number;
  readonly resolve: (result: RunResult) => void;
  readonly reject: (error: unknown) => void;
};

/** What a run shows about where it ran. 'lost': the host is gone, and the requests with it; 'failed': ONNX Runtime failed. */
export type RunOutcome =
  | { readonly kind: 'ran'; readonly tookMs: number }
  | { readonly kind: 'lost' | 'failed' | 'refused'; readonly reason: string };

/** A version of a model as a host or a server runs it. */
export type RunSession = {
  readonly served: ServedModel;
  /** @throws {OperatingError} The error of the host or server. */
  readonly run: (params: RunParams, timeoutMs: number) => Promise<HostRun>;
  /** Notes the outcome of each run. */
  readonly ended: (outcome: RunOutcome, priority: RunPriority) => void;
};

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

/** Rejects the requests that waited too long, or that do not fit the version that is about to run; returns the others. */
function runnableRequests<M extends QueuedModel>(
  requests: readonly RunRequest<M>[],
  served: ServedModel,
  nowMs: number,
): readonly RunRequest<M>[] {
  return requests.filter((request) => {
    const problem = deadlineMs(request) < nowMs ? waitedTooLong(request, nowMs) : incompatibility(request, served);
    if (problem !== undefined) request.reject(problem);
    return problem === undefined;
  });
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

/**
 * Runs requests of one model as one batch and answers each; never throws.
 *
 * @returns Requests that failed as a batch and are not answered: the values of one must not fail the others.
 */
export async function runRequests<M extends QueuedModel>(
  { served, run, ended }: RunSession,
  waiting: readonly RunRequest<M>[],
  clock: Clock,
): Promise<readonly RunRequest<M>[]> {
  const startedMs = clock.monotonicMs();
  const requests = runnableRequests(waiting, served, startedMs);
  const [first] = requests;
  if (first === undefined) return [];
  const { label, use } = first.model;
  try {
    const params = { key: label, inputs: joinRequests(requests), finite: first.priority === 'watch' };
    const { outputs, runMs } = await run(params, use.serving.deadlineMs);
    const parts = splitOutputs(outputs, requests);
    use.noteExecuted(requests, startedMs, runMs);
    for (const [index, { resolve }] of requests.entries())
      resolve({ outputs: parts[index] ?? {}, judgedBy: served.judgedBy, manifest: served.manifest, runMs });
    ended({ kind: 'ran', tookMs: clock.monotonicMs() - startedMs }, first.priority);
    return [];
  } catch (error) {
    const isOfOne = error instanceof OperatingError && error.disposition === 'reject' && requests.length > 1;
    if (!isOfOne) for (const { reject } of requests) reject(error);
    const kind = isLoss(error) ? 'lost' : errorCode(error) === 'model-run-failed' ? 'failed' : 'refused';
    ended({ kind, reason: errorMessage(error) }, first.priority);
    return isOfOne ? requests : [];
  }
}

/** Returns the inputs of all requests as one batch, in their order; those of a single request as they are. */
function joinRequests(requests: readonly RunRequest[]): Tensors {
  const [first] = requests;
  if (first !== undefined && requests.length === 1) return first.inputs;
  return joinRows(requests.map(({ inputs }) => inputs));
}

/** @throws {OperatingError} 'model-output-invalid' if the model does not return one row for each row. */
function splitOutputs(outputs: Tensors, requests: readonly RunRequest[]): readonly Tensors[] {
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
