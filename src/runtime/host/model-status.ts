import type { ModelStatus } from '../../contracts/inference.ts';
import { localVersion } from '../../domain/model/lifecycle.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import type { OperatingError } from '../../platform/errors.ts';
import type { HostProcess } from './host-process.ts';
import { type ModelSlot, readyIn } from './model-slot.ts';

/** @param host The host that can be asked. A model that is ready in another one, which is being replaced, loads again. */
export function statusOf(slot: ModelSlot, host: HostProcess | undefined): ModelStatus {
  const { reference, crashes, state } = slot;
  const { run, attempted } = state;
  const server = run.kind === 'remote' ? run.server : undefined;
  const served = run.kind === 'local' ? run.loaded.served : server?.ready;
  const givenUp = server === undefined ? [...crashes.givenUp] : [];
  const stored = server?.stored ?? localVersion(state)?.stored;
  const isLeaving = run.kind === 'local' && readyIn(slot, host) === undefined;
  return {
    name: reference.name,
    version: stored?.version ?? attempted ?? reference.version ?? 0,
    ...(isLeaving ? { state: 'loading', reason: 'the inference host is being replaced' } : standingOf(slot)),
    provider: served?.judgedBy.provider,
    fallbacks: served?.judgedBy.fallbacks ?? givenUp.map(([provider, reason]) => ({ provider, reason })),
  };
}

/** Error for a run of a model that cannot run now. */
export function notReady(slot: ModelSlot, host: HostProcess | undefined): OperatingError {
  const { state, reason } = statusOf(slot, host);
  return inferenceFailure('model-not-ready', `Model '${slot.label}' is ${state}: ${reason}`);
}

/** State of a model, whichever host it is in. */
export function standingOf({ state: { run } }: Pick<ModelSlot, 'state'>): Pick<ModelStatus, 'state' | 'reason'> {
  switch (run.kind) {
    case 'local':
      return { state: 'ready', reason: undefined };
    case 'lost':
      return { state: 'loading', reason: run.reason };
    case 'none':
      return { state: run.state, reason: run.reason };
    case 'remote':
      return run.server.ready === undefined
        ? { state: 'failed', reason: run.reason }
        : { state: 'ready', reason: undefined };
    case 'removed':
      return { state: 'failed', reason: 'it was unloaded' };
  }
}
