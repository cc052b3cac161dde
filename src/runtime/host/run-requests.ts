import type { ServedModel } from '../../contracts/inference.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import type { HostRun } from '../../contracts/model-session.ts';
import type { RunParams } from '../session/host-protocol.ts';
import { isLoss } from '../../models/errors/host-loss.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import type { ModelSlot } from './model-slot.ts';
import { joinRequests, splitOutputs } from './request-batch.ts';
import type { RunRequest } from './run-queue.ts';
import { checkInputs } from '../../models/checks/tensor-check.ts';

/**
 * What a run says of the host. 'lost': it is gone, and the requests with it; 'failed': ONNX Runtime failed in the run;
 * `alone` are requests that failed as a batch and have not been answered: one's values are not to fail the others'.
 */
export type RunOutcome =
  | { readonly kind: 'ran'; readonly tookMs: number }
  | { readonly kind: 'lost'; readonly reason: string }
  | { readonly kind: 'failed' | 'refused'; readonly reason: string; readonly alone: readonly RunRequest[] };

/** Those that did not wait too long; the others are told. */
export function timelyRequests(requests: readonly RunRequest[], nowMs: number): readonly RunRequest[] {
  return requests.filter(({ slot, queuedMs, reject }) => {
    const waitedMs = nowMs - queuedMs;
    if (waitedMs <= slot.use.serving.deadlineMs) return true;
    reject(waitedBehindOthers(waitedMs));
    return false;
  });
}

export function waitedBehindOthers(waitedMs: number): OperatingError {
  return inferenceFailure('inference-timeout', `Waited ${Math.round(waitedMs)} ms behind other runs`);
}

/** Those that fit the model that is about to run, where another version took over while they waited; the others are told. */
export function fittingRequests(requests: readonly RunRequest[], served: ServedModel): readonly RunRequest[] {
  return requests.filter((request) => {
    const misfit = misfitOf(request, served);
    if (misfit !== undefined) request.reject(misfit);
    return misfit === undefined;
  });
}

/** Why a model cannot take the inputs of a request that was made for another version; undefined where it can. */
export function misfitOf({ specs, inputs }: RunRequest, served: ServedModel): unknown {
  if (specs === served.inputs) return undefined;
  try {
    checkInputs(served.inputs, inputs, judgesWindows(served.manifest) ? 1 : 0);
    return undefined;
  } catch (error) {
    return error;
  }
}

/**
 * Runs requests of one model as one, and answers each; never throws.
 *
 * @param run In a host, or on a server.
 */
export async function runRequests(
  run: (params: RunParams, timeoutMs: number) => Promise<HostRun>,
  slot: ModelSlot,
  { judgedBy, manifest }: ServedModel,
  requests: readonly RunRequest[],
  clock: Clock,
): Promise<RunOutcome> {
  const startedMs = clock.monotonicMs();
  const finite = requests.some(({ priority }) => priority === 'watch');
  try {
    const params = { key: slot.label, inputs: joinRequests(requests), finite };
    const { outputs, runMs } = await run(params, slot.use.serving.deadlineMs);
    const parts = splitOutputs(outputs, requests);
    slot.use.noteExecuted(requests, startedMs, runMs);
    for (const [index, { resolve }] of requests.entries())
      resolve({ outputs: parts[index] ?? {}, judgedBy, manifest, runMs });
    return { kind: 'ran', tookMs: clock.monotonicMs() - startedMs };
  } catch (error) {
    const reason = errorMessage(error);
    const mayBeOfOne = error instanceof OperatingError && error.disposition === 'reject';
    const alone = requests.length > 1 && mayBeOfOne ? requests : [];
    if (alone.length === 0) for (const { reject } of requests) reject(error);
    if (isLoss(error)) return { kind: 'lost', reason };
    return { kind: errorCode(error) === 'model-run-failed' ? 'failed' : 'refused', reason, alone };
  }
}
