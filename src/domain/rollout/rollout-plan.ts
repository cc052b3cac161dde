import type { EpochMs } from '../epoch-ms.ts';
import type { ModelReference } from '../model/model-reference.ts';

/**
 * Why two versions of a model judge the same windows. 'shadow': the candidate judges without raising alarms. 'canary': it
 * decides for this watch only. 'probation': it is the active version, and the previous version also judges for a time.
 */
export type RolloutKind = 'shadow' | 'canary' | 'probation';

/** The version under test, and the version that it is compared with. */
export type RolloutSide = 'candidate' | 'incumbent';

export type RolloutPlan = {
  readonly kind: RolloutKind;
  readonly name: string;
  readonly candidate: number;
  readonly incumbent: number;
  /** Time when it ends automatically; undefined if only the configuration ends it. */
  readonly endsMs: EpochMs | undefined;
};

/** A version that failed in a rollout. It has no further rollout until an operator activates it. */
export type Rejection = { readonly version: number; readonly reason: string; readonly timestampMs: EpochMs };

/** State of one model in the model directory. */
export type ModelStanding = {
  readonly active: number | undefined;
  /** The version that a rollback activates. */
  readonly previous: number | undefined;
  /** Time of the last activation; undefined without an active version. */
  readonly activatedMs: EpochMs | undefined;
  /** The active version is pinned: it must not change automatically. */
  readonly pinned: boolean;
  readonly rejected: readonly Rejection[];
};

/** Configuration of the rollouts of a watch. */
export type RolloutRequest = {
  readonly model: ModelReference;
  readonly shadow: ModelReference | undefined;
  readonly canary: ModelReference | undefined;
};

export type PlannedRollout = {
  readonly plan: RolloutPlan | undefined;
  /** Why a configured rollout does not run; undefined if there is no obstacle. */
  readonly obstacle: string | undefined;
  /** The obstacle is that the candidate failed before. */
  readonly rejected: boolean;
};

const NO_ROLLOUT: PlannedRollout = { plan: undefined, obstacle: undefined, rejected: false };

/**
 * Returns the rollout of a watch. There is one at a time, in this order of priority: canary, probation, shadow.
 *
 * @param withinMs Length of the probation; 0 for none.
 */
export function planRollout(
  request: RolloutRequest,
  standing: ModelStanding,
  withinMs: number,
  nowMs: EpochMs,
): PlannedRollout {
  if (request.canary !== undefined) return configured('canary', request, request.canary, standing);
  const probation =
    request.model.version === undefined ? planProbation(request.model.name, standing, withinMs, nowMs) : NO_ROLLOUT;
  if (probation.plan !== undefined || request.shadow === undefined) return probation;
  return configured('shadow', request, request.shadow, standing);
}

/**
 * Returns the rejection of the active version if its rollback was interrupted: it was rejected after its activation. A
 * version that was activated after its rejection was activated by an operator, and stays.
 */
export function unfinishedRollback({
  active,
  previous,
  activatedMs = 0,
  pinned,
  rejected,
}: ModelStanding): Rejection | undefined {
  const rejection = rejected.find(({ version }) => version === active);
  if (rejection === undefined || pinned || previous === undefined || rejection.timestampMs < activatedMs)
    return undefined;
  return rejected.some(({ version }) => version === previous) ? undefined : rejection;
}

function configured(
  kind: 'shadow' | 'canary',
  request: RolloutRequest,
  reference: ModelReference,
  standing: ModelStanding,
): PlannedRollout {
  const { name } = request.model;
  const { version: candidate } = reference;
  const incumbent = request.model.version ?? standing.active;
  // The schema requires a version of the candidate. Without an active version, the watch judges nothing.
  if (candidate === undefined || incumbent === undefined) return NO_ROLLOUT;
  if (candidate === incumbent) {
    const obstacle = `${kind} ${name}@${candidate} is already the version of the watch: remove '${kind}' from its configuration`;
    return { plan: undefined, obstacle, rejected: false };
  }
  const rejection = standing.rejected.find(({ version }) => version === candidate);
  if (rejection !== undefined) {
    const obstacle = `${kind} ${name}@${candidate} does not run: ${rejectionText(rejection)}. Set another version, or remove '${kind}'`;
    return { plan: undefined, obstacle, rejected: true };
  }
  return { ...NO_ROLLOUT, plan: { kind, name, candidate, incumbent, endsMs: undefined } };
}

/** Plans a probation. Activating a lower version is a return to it and does not start one. */
function planProbation(name: string, standing: ModelStanding, withinMs: number, nowMs: EpochMs): PlannedRollout {
  const { active, previous, activatedMs, pinned, rejected } = standing;
  if (withinMs === 0 || pinned || active === undefined || previous === undefined || activatedMs === undefined)
    return NO_ROLLOUT;
  if (active <= previous || rejected.some(({ version }) => version === active || version === previous))
    return NO_ROLLOUT;
  // If the clock is before the activation, it was not set then: the probation starts now.
  const agedMs = Math.max(0, nowMs - activatedMs);
  if (agedMs >= withinMs) return NO_ROLLOUT;
  const endsMs = nowMs - agedMs + withinMs;
  return { ...NO_ROLLOUT, plan: { kind: 'probation', name, candidate: active, incumbent: previous, endsMs } };
}

/** Returns the reason of a rejection, as part of a sentence. */
function rejectionText({ reason, timestampMs }: Rejection): string {
  return `it was rejected on ${new Date(timestampMs).toISOString().slice(0, 16)}Z because ${reason}`;
}

/** Returns true if two plans are for the same rollout. */
export function isSameRollout(a: RolloutPlan, b: RolloutPlan): boolean {
  return a.kind === b.kind && a.name === b.name && a.candidate === b.candidate && a.incumbent === b.incumbent;
}
