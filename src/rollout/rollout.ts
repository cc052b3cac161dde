import type { ModelManifest } from '../contracts/model-manifest.ts';
import type { StoppedRollout } from '../contracts/rollout-statuses.ts';
import type { ModelReference } from '../domain/model/model-reference.ts';
import type { RolloutKind, RolloutPlan, RolloutSide } from '../domain/rollout/rollout-plan.ts';
import {
  type Breach,
  breachOf,
  type RecentCounts,
  RecentRolloutCounts,
  type RolloutRules,
} from '../domain/rollout/rollout-rules.ts';
import type { AgreementTable, SideJudgement, RolloutFailure, RolloutTally } from '../domain/rollout/rollout-tally.ts';
import { judgeScore, NEVER_ABNORMAL, type ScoreMemory, widenedRule } from '../domain/alarm/verdict-rule.ts';
import type { Judged, Judgement, WindowJob } from '../contracts/window-models.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import { verdictRule } from '../pipeline/watch.ts';

/** A judgement, and the monotonic time of its arrival. */
type Arrived = { readonly judgement: Judgement; readonly atMs: number };

/** A window that two versions judge. */
export type TriedWindow = {
  readonly job: WindowJob;
  /** Judgement of the watch's own model, in the watches' host. */
  own: Arrived | undefined;
  /** Judgement of the version in a separate process. */
  guest: Arrived | undefined;
  /** True if the guest did not answer within the deadline of a run. */
  late: boolean;
};

/**
 * Selects the judgement that counts. 'guest-then-own' and 'own-then-guest': the second stands in if the first has none.
 * 'guest-alone': the watch's own model was rejected and is still in the watches' host.
 */
type Ruling = 'own' | 'guest-then-own' | 'own-then-guest' | 'guest-alone';

const rulings: Readonly<Record<RolloutKind, Ruling>> = {
  shadow: 'own',
  canary: 'guest-then-own',
  probation: 'own-then-guest',
};

/** Result of one window, for metrics. `breach` is the reason to stop the candidate. */
export type Counted = {
  readonly said: keyof AgreementTable | undefined;
  readonly failures: readonly (readonly [RolloutSide, RolloutFailure])[];
  readonly breach: Breach | undefined;
};

/** A judgement that becomes a verdict. */
export type Decision = {
  readonly judgement: Judgement;
  /** True for a judgement of the incumbent in place of the candidate's. */
  readonly isStandIn: boolean;
};

const NOTHING_COUNTED: Counted = { said: undefined, failures: [], breach: undefined };

export type RolloutOptions = {
  readonly config: WatchConfig;
  readonly plan: RolloutPlan;
  readonly rules: RolloutRules;
  readonly tally: RolloutTally;
  /** True if the candidate is quarantined because of repeated crashes. */
  readonly isQuarantined: () => boolean;
};

/** One rollout of one watch: selects the judgement that counts, counts windows, and detects when the candidate must stop. */
export class Rollout {
  readonly plan: RolloutPlan;
  readonly tally: RolloutTally;
  readonly #options: RolloutOptions;
  readonly #recent: RecentRolloutCounts;
  readonly #ownSide: RolloutSide;
  /** Each version has its own deadband. */
  readonly #memory: Record<RolloutSide, ScoreMemory> = { candidate: NEVER_ABNORMAL, incumbent: NEVER_ABNORMAL };
  /** Monotonic time of the last crash and deadline miss. The windows of one run fail together and count once. */
  readonly #lastMs: Partial<Record<RolloutFailure, number>> = {};
  #ruling: Ruling;
  #stopped: StoppedRollout | undefined;
  /** True if the rollout was stopped but the candidate could not be rolled back. */
  #kept = false;

  constructor(options: RolloutOptions) {
    const { plan, rules, tally } = options;
    this.#options = options;
    this.plan = plan;
    this.tally = tally;
    this.#recent = new RecentRolloutCounts(rules.periodMs);
    this.#ownSide = plan.kind === 'probation' ? 'candidate' : 'incumbent';
    this.#ruling = rulings[plan.kind];
  }

  /** The version in a separate process. */
  get guest(): ModelReference {
    const { name, candidate, incumbent } = this.plan;
    return { name, version: this.#ownSide === 'candidate' ? incumbent : candidate };
  }

  get stopped(): StoppedRollout | undefined {
    return this.#stopped;
  }

  /** True while the version that was rolled back may still be in the watches' host. */
  get reverting(): boolean {
    return this.#ruling === 'guest-alone';
  }

  /** The version that decides. */
  get decides(): number {
    const { candidate, incumbent } = this.plan;
    const tried = this.#ruling === 'guest-then-own' || this.#ruling === 'own-then-guest';
    return tried || this.#kept ? candidate : incumbent;
  }

  /** Returns the judgement that becomes the verdict; undefined while the window waits for it. */
  decision(window: TriedWindow): Decision | undefined {
    const judgement = this.#judgement(window);
    if (judgement === undefined) return undefined;
    const standIn = {
      own: undefined,
      'guest-alone': undefined,
      'guest-then-own': window.own,
      'own-then-guest': window.guest,
    };
    return { judgement, isStandIn: judgement === standIn[this.#ruling]?.judgement };
  }

  #judgement({ job, own: ownArrived, guest: guestArrived, late }: TriedWindow): Judgement | undefined {
    const own = ownArrived?.judgement;
    const guest = guestArrived?.judgement;
    switch (this.#ruling) {
      case 'own':
        return own;
      case 'guest-then-own':
        if (guest !== undefined && holds(guest) && !late) return guest;
        if ((guest === undefined && !late) || own === undefined) return undefined;
        return guest !== undefined && holds(guest) && !holds(own) ? guest : own;
      case 'own-then-guest':
        if (own === undefined || holds(own)) return own;
        if (guest === undefined && !late) return undefined;
        return guest !== undefined && holds(guest) ? guest : own;
      case 'guest-alone':
        if (own?.outcome === 'judged' && own.judgedBy.version !== this.plan.candidate) return own;
        return guest ?? (late ? this.#unanswered(job) : undefined);
    }
  }

  /** True if the decision may have to wait for the guest. */
  get waitsForGuest(): boolean {
    return this.#ruling !== 'own';
  }

  /**
   * Counts a window that both versions have judged.
   * @param patienceMs Deadline of the guest.
   */
  count({ job, own, guest, late }: TriedWindow, patienceMs: number, nowMs: number): Counted {
    if (own === undefined || guest === undefined) return NOTHING_COUNTED;
    const ownIsCandidate = this.#ownSide === 'candidate';
    const ownLate = late && own.atMs - job.dueMs > patienceMs;
    const candidate = ownIsCandidate ? { ...own, late: ownLate } : { ...guest, late };
    const incumbent = ownIsCandidate ? { ...guest, late } : { ...own, late: ownLate };
    if (!this.#isOfThisRollout(candidate, 'candidate') || !this.#isOfThisRollout(incumbent, 'incumbent'))
      return NOTHING_COUNTED;
    const failed = {
      candidate: this.#failure(candidate, 'candidate'),
      incumbent: this.#failure(incumbent, 'incumbent'),
    };
    const failures = (['candidate', 'incumbent'] as const).flatMap((side) => {
      const failure = failed[side];
      return failure === undefined ? [] : [[side, failure] as const];
    });
    for (const [side, failure] of failures) this.tally.failed(side, failure);
    if (failed.candidate !== undefined && failed.candidate !== failed.incumbent)
      this.#blame(failed.candidate, candidate.atMs, nowMs);
    const said = failures.length === 0 ? this.#compare(job, candidate, incumbent, nowMs) : undefined;
    const { rules } = this.#options;
    const isActive = this.plan.kind !== 'shadow';
    const breach = this.#stopped === undefined ? breachOf(this.#recent.sum(nowMs), rules, isActive) : undefined;
    return { said, failures, breach };
  }

  /** Stops the candidate: it no longer decides, and its windows no longer count. */
  stop(stopped: StoppedRollout): void {
    this.#stopped = stopped;
    this.#ruling = this.plan.kind === 'probation' ? 'guest-alone' : 'own';
  }

  /** The candidate could not be rolled back: it stays active, and the incumbent still stands in for it. */
  keepCandidate(): void {
    if (this.#ruling !== 'guest-alone') return;
    this.#ruling = 'own-then-guest';
    this.#kept = true;
  }

  /** Ends the rollout. The watch's own model decides the windows in progress. */
  end(): void {
    this.#ruling = 'own';
  }

  /** False for a third version during an exchange of versions, and for missing values, which count for neither version. */
  #isOfThisRollout({ judgement }: Arrived, side: RolloutSide): boolean {
    if (judgement.outcome === 'unfit') return false;
    if (judgement.outcome !== 'judged') return true;
    // If a remote version cannot judge, its fallback judges: another model.
    const { model, version } = judgement.judgedBy;
    return model === this.plan.name && version === this.plan[side];
  }

  #failure({ judgement, late }: Arrived & { readonly late: boolean }, side: RolloutSide): RolloutFailure | undefined {
    switch (judgement.outcome) {
      case 'judged':
        return late ? 'deadline' : undefined;
      case 'unfit':
        return undefined;
      case 'superseded':
        return 'skipped';
      case 'failed':
        if (side === 'candidate' && judgement.code === 'model-not-ready' && this.#options.isQuarantined())
          return 'crash';
        return failureOfCode[judgement.code] ?? 'invalid';
    }
  }

  #blame(failure: RolloutFailure, atMs: number, nowMs: number): void {
    const key = countedAs[failure];
    if (key === undefined) return;
    const together = failure !== 'invalid' && this.#lastMs[failure] === atMs;
    this.#lastMs[failure] = atMs;
    if (!together) this.#recent.add(key, nowMs);
  }

  #compare(job: WindowJob, candidate: Arrived, incumbent: Arrived, nowMs: number): keyof AgreementTable | undefined {
    const [one, other] = [candidate.judgement, incumbent.judgement];
    if (one.outcome !== 'judged' || other.outcome !== 'judged' || !judgeSameWindows(one.manifest, other.manifest))
      return undefined;
    const sides = {
      candidate: this.#judge('candidate', one, candidate.atMs - job.dueMs),
      incumbent: this.#judge('incumbent', other, incumbent.atMs - job.dueMs),
    };
    this.#recent.add('windows', nowMs);
    if (sides.candidate.verdict === 'abnormal') this.#recent.add('candidateAbnormal', nowMs);
    if (sides.incumbent.verdict === 'abnormal') this.#recent.add('incumbentAbnormal', nowMs);
    return this.tally.compare(job.window.timestampMs, sides.candidate, sides.incumbent);
  }

  #judge(side: RolloutSide, { score, manifest, widening = 1 }: Judged, latencyMs: number): SideJudgement {
    const rule = widenedRule(verdictRule(this.#options.config, manifest), widening);
    const memory = judgeScore(score, rule, this.#memory[side]);
    this.#memory[side] = memory;
    const { threshold } = rule;
    return { score, threshold, verdict: memory.verdict, latencyMs, distribution: manifest.output.distribution };
  }

  #unanswered(job: WindowJob): Judgement {
    const { name, candidate, incumbent } = this.plan;
    const reason = `${name}@${candidate} was rolled back, and ${name}@${incumbent} did not answer in time`;
    return { outcome: 'failed', job, reason, code: 'model-not-ready' };
  }
}

/** True if a judgement can become a verdict without a stand-in. Missing values are missing for both versions. */
function holds({ outcome }: Judgement): boolean {
  return outcome === 'judged' || outcome === 'unfit';
}

/** Cause of a failure by its error code; 'invalid' for any other code. */
const failureOfCode: Readonly<Record<string, RolloutFailure>> = {
  'host-crashed': 'crash',
  'inference-timeout': 'deadline',
  'inference-queue-full': 'skipped',
  'model-not-ready': 'not-ready',
  // An unreachable server is not a fault of the version.
  'remote-unreachable': 'not-ready',
  'remote-busy': 'not-ready',
  'remote-refused': 'not-ready',
  'remote-version-changed': 'not-ready',
  'remote-circuit-open': 'not-ready',
};

/** Counters that can stop a candidate. Loading and skipped windows do not count. */
const countedAs: Partial<Readonly<Record<RolloutFailure, keyof RecentCounts>>> = {
  crash: 'crashes',
  deadline: 'deadlineMisses',
  invalid: 'invalidOutputs',
};

/** True if two models judge the same windows: the same tags in the same order, and the same number of rows. */
function judgeSameWindows(a: ModelManifest, b: ModelManifest): boolean {
  if (a.window.steps !== b.window.steps || a.tags.length !== b.tags.length) return false;
  return a.tags.every(({ name }, index) => name === b.tags[index]?.name);
}

/** Returns the decision for a window without a rollout. */
export function decisionOfOwn({ own }: TriedWindow): Decision | undefined {
  return own === undefined ? undefined : { judgement: own.judgement, isStandIn: false };
}
