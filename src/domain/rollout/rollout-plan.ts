import type { EpochMs } from '../epoch-ms.ts';
import type { ModelReference } from '../model/model-reference.ts';

/**
 * Why two versions of a model judge the same windows. 'shadow': the candidate observes in silence; 'canary': it
 * decides, on this watch alone; 'probation': it was made the active version, and the one before observes for a while.
 */
export type RolloutKind = 'shadow' | 'canary' | 'probation';

/** The version that is to prove itself, and the one that it is measured by. */
export type RolloutSide = 'candidate' | 'incumbent';

export type RolloutPlan = {
  readonly kind: RolloutKind;
  /** Of the model. */
  readonly name: string;
  /** Versions. */
  readonly candidate: number;
  readonly incumbent: number;
  /** When it is over by itself; undefined where only the configuration ends it. */
  readonly endsMs: EpochMs | undefined;
};

/** A version that was found bad while it was tried; it is tried no more until somebody activates it. */
export type Rejection = { readonly version: number; readonly reason: string; readonly timestampMs: EpochMs };

/** What the model directory says of one model. */
export type ModelStanding = {
  readonly active: number | undefined;
  /** The version that was active before. */
  readonly previous: number | undefined;
  /** When the active one was activated; undefined where none is. */
  readonly activatedMs: EpochMs | undefined;
  /** Whether the active version was pinned: it is not to change by itself. */
  readonly pinned: boolean;
  readonly rejected: readonly Rejection[];
};

/** What a watch wants of rollouts. */
export type RolloutWish = {
  readonly model: ModelReference;
  readonly shadow: ModelReference | undefined;
  readonly canary: ModelReference | undefined;
};

export type PlannedRollout = {
  readonly plan: RolloutPlan | undefined;
  /** Why a rollout that the configuration asks for is not held; '' where there is nothing to say. */
  readonly obstacle: string;
  /** Whether that is because the candidate was found bad. */
  readonly rejected: boolean;
};

const NOTHING: PlannedRollout = { plan: undefined, obstacle: '', rejected: false };

/**
 * The rollout that a watch has now: one at a time. A canary decides, so nothing else is tried beside it; a probation
 * goes before a shadow, which begins when it is over.
 *
 * @param withinMs How long a version is on probation; 0 for never.
 */
export function planRollout(
  wish: RolloutWish,
  standing: ModelStanding,
  withinMs: number,
  nowMs: EpochMs,
): PlannedRollout {
  if (wish.canary !== undefined) return configured('canary', wish, wish.canary, standing);
  const probation =
    wish.model.version === undefined ? planProbation(wish.model.name, standing, withinMs, nowMs) : NOTHING;
  if (probation.plan !== undefined || wish.shadow === undefined) return probation;
  return configured('shadow', wish, wish.shadow, standing);
}

/**
 * The version to go back to at once, where the active one was rejected after it was activated: a rollback that was cut
 * off. One that was activated after its rejection is somebody's will.
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
  wish: RolloutWish,
  reference: ModelReference,
  standing: ModelStanding,
): PlannedRollout {
  const { name } = wish.model;
  const { version: candidate } = reference;
  const incumbent = wish.model.version ?? standing.active;
  // The configuration's schema asks for a version; without an active one the watch judges nothing at all.
  if (candidate === undefined || incumbent === undefined) return NOTHING;
  if (candidate === incumbent) {
    const obstacle = `${kind} ${name}@${candidate} is what the watch uses by now: take '${kind}' out of its configuration`;
    return { plan: undefined, obstacle, rejected: false };
  }
  const rejection = standing.rejected.find(({ version }) => version === candidate);
  if (rejection !== undefined) {
    const obstacle = `${kind} ${name}@${candidate} is not tried: ${rejectionText(rejection)}. Name another version, or take '${kind}' out`;
    return { plan: undefined, obstacle, rejected: true };
  }
  return { ...NOTHING, plan: { kind, name, candidate, incumbent, endsMs: undefined } };
}

/** A lower version that was made active is somebody's way back, and is not measured by what it replaced. */
function planProbation(name: string, standing: ModelStanding, withinMs: number, nowMs: EpochMs): PlannedRollout {
  const { active, previous, activatedMs, pinned, rejected } = standing;
  if (withinMs === 0 || pinned || active === undefined || previous === undefined || activatedMs === undefined)
    return NOTHING;
  if (active <= previous || rejected.some(({ version }) => version === active || version === previous)) return NOTHING;
  // A clock that stands before the activation was not set yet: the time begins now.
  const agedMs = Math.max(0, nowMs - activatedMs);
  if (agedMs >= withinMs) return NOTHING;
  const endsMs = nowMs - agedMs + withinMs;
  return { ...NOTHING, plan: { kind: 'probation', name, candidate: active, incumbent: previous, endsMs } };
}

/** Why a version is not tried, to stand in a sentence about it. */
function rejectionText({ reason, timestampMs }: Rejection): string {
  return `it was rejected on ${new Date(timestampMs).toISOString().slice(0, 16)}Z because ${reason}`;
}

/** Whether two plans are of one and the same rollout. */
export function isSameRollout(a: RolloutPlan, b: RolloutPlan): boolean {
  return a.kind === b.kind && a.name === b.name && a.candidate === b.candidate && a.incumbent === b.incumbent;
}
