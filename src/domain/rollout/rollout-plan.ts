import type { EpochMs } from '../epoch-ms.ts';
import type { ModelReference } from '../model/model-reference.ts';

/**
 * Reason for two versions of a model to judge the same windows. 'shadow': the candidate only observes; 'canary': it
 * decides, on this watch only; 'probation': it is the active version, and the previous one observes for a limited time.
 */
export type RolloutKind = 'shadow' | 'canary' | 'probation';

/** The version under test, and the version that it is compared with. */
export type RolloutSide = 'candidate' | 'incumbent';

export type RolloutPlan = {
  readonly kind: RolloutKind;
  /** Name of the model. */
  readonly name: string;
  /** Versions. */
  readonly candidate: number;
  readonly incumbent: number;
  /** Time at which it ends; undefined if only the configuration ends it. */
  readonly endsMs: EpochMs | undefined;
};

/** A version that was rejected in a rollout. It gets no other rollout until a user activates it. */
export type Rejection = { readonly version: number; readonly reason: string; readonly timestampMs: EpochMs };

/** State of one model in the model directory. */
export type ModelStanding = {
  readonly active: number | undefined;
  /** The version that was active before. */
  readonly previous: number | undefined;
  /** Time of the last activation; undefined without an active version. */
  readonly activatedMs: EpochMs | undefined;
  /** True if the active version is pinned: it never changes automatically. */
  readonly pinned: boolean;
  readonly rejected: readonly Rejection[];
};

/** The rollouts that a watch's configuration requests. */
export type RolloutWish = {
  readonly model: ModelReference;
  readonly shadow: ModelReference | undefined;
  readonly canary: ModelReference | undefined;
};

export type PlannedRollout = {
  readonly plan: RolloutPlan | undefined;
  /** Reason why a configured rollout does not run. */
  readonly obstacle: string | undefined;
  /** True if the reason is a rejected candidate. */
  readonly rejected: boolean;
};

const NOTHING: PlannedRollout = { plan: undefined, obstacle: undefined, rejected: false };

/**
 * Returns the current rollout of a watch, one at a time. A canary decides, so it excludes the others. A probation goes
 * before a shadow, which begins after it.
 *
 * @param withinMs Time of a probation; 0 for none.
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
 * Returns the rejection of the active version if it is newer than the activation: an interrupted rollback. A version that
 * a user activated after its rejection is not rolled back.
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
  // The configuration schema requires a version. Without an active version the watch judges nothing.
  if (candidate === undefined || incumbent === undefined) return NOTHING;
  if (candidate === incumbent) {
    const obstacle = `${kind} ${name}@${candidate} is already the version of the watch. Remove '${kind}' from its configuration`;
    return { plan: undefined, obstacle, rejected: false };
  }
  const rejection = standing.rejected.find(({ version }) => version === candidate);
  if (rejection !== undefined) {
    const obstacle = `${kind} ${name}@${candidate} does not run: ${rejectionText(rejection)}. Set another version, or remove '${kind}'`;
    return { plan: undefined, obstacle, rejected: true };
  }
  return { ...NOTHING, plan: { kind, name, candidate, incumbent, endsMs: undefined } };
}

/** Activating a lower version does not start probation. */
function planProbation(name: string, standing: ModelStanding, withinMs: number, nowMs: EpochMs): PlannedRollout {
  const { active, previous, activatedMs, pinned, rejected } = standing;
  if (withinMs === 0 || pinned || active === undefined || previous === undefined || activatedMs === undefined)
    return NOTHING;
  if (active <= previous || rejected.some(({ version }) => version === active || version === previous)) return NOTHING;
  // A clock before the time of the activation was not set yet: the probation begins now.
  const agedMs = Math.max(0, nowMs - activatedMs);
  if (agedMs >= withinMs) return NOTHING;
  const endsMs = nowMs - agedMs + withinMs;
  return { ...NOTHING, plan: { kind: 'probation', name, candidate: active, incumbent: previous, endsMs } };
}

/** Returns the reason of a rejection as a part of a sentence. */
function rejectionText({ reason, timestampMs }: Rejection): string {
  return `it was rejected on ${new Date(timestampMs).toISOString().slice(0, 16)}Z because ${reason}`;
}

/** True if two plans are the same rollout. */
export function isSameRollout(a: RolloutPlan, b: RolloutPlan): boolean {
  return a.kind === b.kind && a.name === b.name && a.candidate === b.candidate && a.incumbent === b.incumbent;
}
