import type {
  StoppedRollout,
  RolloutStatuses,
  RolloutObstacle,
  RolloutOverview,
  RolloutReport,
} from '../contracts/rollout-statuses.ts';
import type { RolloutJournal, RolloutModels, VersionLedger } from '../contracts/rollout-models.ts';
import { concludeRollout } from '../domain/rollout/rollout-conclusion.ts';
import {
  isSameRollout,
  type ModelStanding,
  type PlannedRollout,
  planRollout,
  type RolloutPlan,
} from '../domain/rollout/rollout-plan.ts';
import type { Breach, RolloutRules } from '../domain/rollout/rollout-rules.ts';
import { RolloutTally, type TallyState } from '../domain/rollout/rollout-tally.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage } from '../platform/errors.ts';
import type { VersionComparison } from '../pipeline/version-comparison.ts';
import type { Judgement, WindowJob, WindowModels } from '../contracts/window-models.ts';
import { finishRollback, rejectCandidate, type RejectedCandidate } from './candidate-rejection.ts';
import { RolloutLine } from './rollout-line.ts';
import { RolloutTelemetry } from './rollout-telemetry.ts';
import { Rollout } from './rollout.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';

/** Interval at which tallies are written. A power failure loses at most this. */
const JOURNAL_MS = 300_000;
/** Time until the next review while a rollback is in progress, and after the model directory could not be read. */
const REVIEW_SOON_MS = 500;
const REVIEW_AFTER_FAILURE_MS = 60_000;

export type RolloutsOptions = {
  readonly watches: ReadonlyMap<string, WatchConfig>;
  /** The watches' own models. */
  readonly inference: WindowModels;
  /** The versions under rollout. */
  readonly models: RolloutModels;
  readonly ledger: VersionLedger;
  readonly journal: RolloutJournal;
  /** `withinMs`: time on probation of a version that was made active; 0 for no probation. */
  readonly rules: RolloutRules & { readonly withinMs: number };
  readonly deps: Deps;
};

/** State of a watch's rollouts. */
type WatchRollout = {
  readonly line: RolloutLine;
  readonly telemetry: RolloutTelemetry;
  /** The rollout in progress, or a stopped one until another follows. */
  rollout: Rollout | undefined;
  /** True while windows go to both versions. */
  running: boolean;
  planned: PlannedRollout;
  timer: Timer | undefined;
};

/**
 * Runs two versions of a model on the same windows of a watch: one decides, the other observes. A candidate that breaches
 * the rules is stopped immediately, stored as rejected, and rolled back if it is the active version.
 *
 * An observer delays nothing: its windows go to a separate process, one batch waits there, and windows that are due in
 * the meantime are skipped and counted. A window waits for a canary until the deadline of a run; then the watch's own
 * model, which has judged it already, decides. Reports health `rollout/<watch>`.
 */
export class Rollouts implements VersionComparison, RolloutStatuses, AsyncDisposable {
  readonly #options: RolloutsOptions;
  readonly #deps: Deps;
  #configs: ReadonlyMap<string, WatchConfig>;
  readonly #watches = new Map<string, WatchRollout>();
  #onReleased: (judgements: readonly Judgement[]) => void = () => undefined;
  /** Tallies from before the restart, until their rollouts begin. */
  readonly #tallies = new Map<string, TallyState>();
  /** Versions to compare as shadows without being configured, by model name. */
  readonly #proposals = new Map<string, number>();
  #reviewing: Promise<void> | undefined;
  #rejecting: Promise<void> = Promise.resolve();
  #reviewAgain = false;
  #nextReview: Timer | undefined;
  #nextWrite: Timer | undefined;
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: RolloutsOptions) {
    const { watches, models, deps } = options;
    this.#options = options;
    this.#deps = deps;
    this.#configs = watches;
    this.#addWatches();
    models.onJudged((judgements) => this.#release(this.#take('guest', judgements)));
  }

  /** @param listener Receives judgements that waited for a rollout's other version; a watch's in order of time. */
  onReleased(listener: (judgements: readonly Judgement[]) => void): void {
    this.#onReleased = listener;
  }

  /** Call it before any model is loaded: it finishes an interrupted rollback, so that no rejected version decides. */
  async start(): Promise<void> {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    for (const [key, tally] of await this.#options.journal.read()) this.#tallies.set(key, tally);
    for (const name of this.#names()) await finishRollback(this.#options.ledger, name, this.#deps.log);
    this.review();
    await this.#reviewing;
    this.#scheduleWrite();
  }

  /** Compares a version as a shadow on every watch of the model that has no other rollout; undefined ends that. */
  propose(model: string, version: number | undefined): void {
    if (this.#proposals.get(model) === version) return;
    if (version === undefined) this.#proposals.delete(model);
    else this.#proposals.set(model, version);
    this.review();
  }

  /**
   * Applies another configuration.
   *
   * @param ended Watches that ended or start again; none of their windows waits. Figures of the same versions continue.
   */
  change(watches: ReadonlyMap<string, WatchConfig>, ended: ReadonlySet<string>): void {
    for (const id of ended) {
      const { rollout, telemetry, timer } = this.#watches.get(id) ?? {};
      if (rollout !== undefined) this.#tallies.set(journalKey(id, rollout.plan), rollout.tally.state);
      rollout?.end();
      timer?.cancel();
      telemetry?.remove();
      this.#watches.delete(id);
    }
    this.#configs = watches;
    this.#addWatches();
    this.review();
  }

  /** Determines the rollouts again, after another version was made active or one was rejected. */
  review(): void {
    if (this.#state !== 'running') return;
    this.#reviewAgain = true;
    this.#reviewing ??= this.#runReviews().finally(() => {
      this.#reviewing = undefined;
      if (this.#reviewAgain) this.review();
    });
  }

  /** Adds a due window of a watch, which also goes to the watch's own model. */
  enqueue(job: WindowJob): void {
    const watch = this.#watches.get(job.watch);
    if (watch === undefined) return;
    const rollout = watch.running ? watch.rollout : undefined;
    watch.line.add(job, rollout);
    if (rollout === undefined) return;
    // A shadow's explanation is not used; a canary's explanation is part of its verdict.
    this.#options.models.judge(rollout.guest, { ...job, explained: rollout.plan.kind === 'canary' });
    this.#await(watch);
  }

  /** @returns Judgements that become verdicts now: of the given ones of the watches' own models, and of waiting ones. */
  pass(judgements: readonly Judgement[]): readonly Judgement[] {
    return this.#take('own', judgements);
  }

  compare(model: string): ReturnType<RolloutStatuses['compare']> {
    const rollouts: RolloutReport[] = [];
    const obstacles: RolloutObstacle[] = [];
    for (const [id, { rollout, planned }] of this.#watches) {
      if (this.#configs.get(id)?.model.name !== model) continue;
      if (rollout !== undefined) rollouts.push(this.#report(id, rollout));
      if (planned.obstacle !== undefined) obstacles.push({ watch: id, reason: planned.obstacle });
    }
    return { rollouts, obstacles };
  }

  rolloutOf(watch: string): RolloutOverview | undefined {
    const rollout = this.#watches.get(watch)?.rollout;
    if (rollout === undefined) return undefined;
    const { kind, candidate, incumbent } = rollout.plan;
    const { windows, agreement } = rollout.tally.summary();
    return { kind, candidate, incumbent, windows, agreement, stopped: rollout.stopped?.reason };
  }

  /** Resolves when every window is judged. The watches' own judge must be done before. */
  async settle(): Promise<void> {
    await this.#options.models.settle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'stopped') return;
    const wasRunning = this.#state === 'running';
    this.#state = 'stopped';
    this.#nextReview?.cancel();
    this.#nextWrite?.cancel();
    for (const { timer } of this.#watches.values()) timer?.cancel();
    await this.settle();
    await this.#rejecting;
    await this.#reviewing;
    if (wasRunning) await this.#write();
    for (const { telemetry } of this.#watches.values()) telemetry.remove();
  }

  #addWatches(): void {
    for (const id of this.#configs.keys()) {
      if (this.#watches.has(id)) continue;
      this.#watches.set(id, {
        line: new RolloutLine(),
        telemetry: new RolloutTelemetry(id, this.#deps),
        rollout: undefined,
        running: false,
        planned: { plan: undefined, obstacle: undefined, rejected: false },
        timer: undefined,
      });
    }
  }

  #names(): ReadonlySet<string> {
    return new Set([...this.#configs.values()].map(({ model }) => model.name));
  }

  #running(): readonly Rollout[] {
    return [...this.#watches.values()].flatMap(({ rollout, running }) =>
      rollout === undefined || !running ? [] : [rollout],
    );
  }

  async #runReviews(): Promise<void> {
    while (this.#reviewAgain && this.#state === 'running') {
      this.#reviewAgain = false;
      this.#nextReview?.cancel();
      const standings = await this.#standings();
      if (this.#state !== 'running') return;
      const nowMs = this.#deps.clock.nowMs();
      let nextMs = standings.size < this.#names().size ? REVIEW_AFTER_FAILURE_MS : Number.POSITIVE_INFINITY;
      for (const [id, watch] of this.#watches) {
        const config = this.#configs.get(id);
        const standing = standings.get(config?.model.name ?? '');
        if (config === undefined || standing === undefined) continue;
        nextMs = Math.min(nextMs, this.#plan(id, watch, config, standing, nowMs));
      }
      this.#options.models.want(this.#running().map(({ guest }) => guest));
      if (nextMs < Number.POSITIVE_INFINITY) this.#nextReview = this.#timer(() => this.review(), nextMs);
    }
  }

  async #standings(): Promise<ReadonlyMap<string, ModelStanding>> {
    const standings = new Map<string, ModelStanding>();
    for (const name of this.#names())
      try {
        standings.set(name, await this.#options.ledger.standing(name));
      } catch (error) {
        this.#deps.log.warn(
          { model: name },
          `The model directory could not be read, so rollouts do not change: ${errorMessage(error)}`,
        );
      }
    return standings;
  }

  /** @returns Time until the next review in ms; Infinity if no time limit is running. */
  #plan(id: string, watch: WatchRollout, config: WatchConfig, standing: ModelStanding, nowMs: number): number {
    const { model, canary } = config;
    const proposal = this.#proposals.get(model.name);
    const proposed = proposal === undefined ? undefined : { name: model.name, version: proposal };
    const wish = { model, shadow: config.shadow ?? proposed, canary };
    const planned = planRollout(wish, standing, this.#options.rules.withinMs, nowMs);
    watch.planned = planned;
    const { rollout } = watch;
    if (rollout?.reverting === true && watch.running && this.#isStillIn(rollout, config)) return REVIEW_SOON_MS;
    const { plan } = planned;
    const isSame = rollout !== undefined && plan !== undefined && isSameRollout(rollout.plan, plan);
    const isOver = !watch.running || (rollout?.stopped !== undefined && rollout.decides !== rollout.plan.candidate);
    if (!isSame || isOver) {
      rollout?.end();
      watch.running = false;
      this.#release(this.#released(watch));
      if (plan !== undefined && !(isSame && rollout.stopped !== undefined)) this.#begin(id, watch, config, plan);
      // The reason of a stopped candidate is reported until another version is active.
      else if (rollout?.stopped === undefined || rollout.decides !== (config.model.version ?? standing.active))
        watch.rollout = undefined;
    }
    watch.telemetry.planned(watch.rollout, planned);
    return plan?.endsMs === undefined ? Number.POSITIVE_INFINITY : Math.max(plan.endsMs - nowMs, 1);
  }

  /** True while a version that was rolled back may still be in the watches' host. */
  #isStillIn({ plan }: Rollout, { model }: WatchConfig): boolean {
    const ready = this.#options.inference.ready(model);
    return (ready?.judgedBy.version ?? plan.candidate) === plan.candidate;
  }

  #begin(id: string, watch: WatchRollout, config: WatchConfig, plan: RolloutPlan): void {
    const { rules, inference, models } = this.#options;
    const key = journalKey(id, plan);
    const tally = new RolloutTally(this.#deps.clock.nowMs(), this.#tallies.get(key));
    this.#tallies.delete(key);
    const host = plan.kind === 'probation' ? inference : models;
    const isQuarantined = () =>
      host
        .statuses()
        .some(
          ({ name, version, state }) => name === plan.name && version === plan.candidate && state === 'quarantined',
        );
    watch.rollout = new Rollout({ config, plan, rules, tally, isQuarantined });
    watch.running = true;
    const { kind, name, candidate, incumbent } = plan;
    this.#deps.log.info({ watch: id, kind, model: name, candidate, incumbent }, 'Rollout begins.');
  }

  /** @returns Judgements that become verdicts now, a watch's in order. */
  #take(side: 'own' | 'guest', judgements: readonly Judgement[]): readonly Judgement[] {
    const atMs = this.#deps.clock.monotonicMs();
    const moved = new Set<WatchRollout>();
    for (const judgement of judgements) {
      const watch = this.#watches.get(judgement.job.watch);
      const place = watch?.line.take(side, judgement, atMs);
      if (watch === undefined || place === undefined) continue;
      moved.add(watch);
      const { rollout, window } = place;
      if (rollout === undefined) continue;
      if (side === 'guest' && watch.rollout === rollout) watch.telemetry.guestAnswered(rollout, judgement);
      const counted = rollout.count(window, this.#options.models.deadlineMs(rollout.guest), atMs);
      watch.telemetry.counted(counted);
      if (counted.breach !== undefined) for (const other of this.#stop(rollout.plan, counted.breach)) moved.add(other);
    }
    return [...moved].flatMap((watch) => this.#released(watch));
  }

  #release(judgements: readonly Judgement[]): void {
    if (judgements.length > 0) this.#onReleased(judgements);
  }

  #released(watch: WatchRollout): readonly Judgement[] {
    const released = watch.line.release();
    for (const { isStandIn } of released) if (isStandIn) watch.telemetry.stoodIn();
    this.#await(watch);
    return released.map(({ judgement }) => judgement);
  }

  /** Limits the time that a window waits for a guest to the deadline of a run. */
  #await(watch: WatchRollout): void {
    watch.timer?.cancel();
    watch.timer = undefined;
    const waiting = watch.line.waiting();
    if (waiting === undefined || this.#state === 'stopped') return;
    const untilMs = waiting.dueMs + this.#options.models.deadlineMs(waiting.rollout.guest);
    const leftMs = untilMs - this.#deps.clock.monotonicMs();
    const giveUp = (): void => {
      watch.line.giveUpWaiting();
      this.#release(this.#released(watch));
    };
    watch.timer = this.#timer(giveUp, Math.max(leftMs, 0));
  }

  /**
   * Stops a candidate on every watch that tries it. The rejection and the rollback follow asynchronously.
   * @returns The affected watches.
   */
  #stop({ name, candidate }: RolloutPlan, { cause, reason }: Breach): readonly WatchRollout[] {
    const stopped: StoppedRollout = { cause, reason, timestampMs: this.#deps.clock.nowMs() };
    const watches: WatchRollout[] = [];
    let isActive = false;
    for (const watch of this.#watches.values()) {
      const { rollout, running, telemetry } = watch;
      if (!running || rollout === undefined || rollout.stopped !== undefined) continue;
      if (rollout.plan.name !== name || rollout.plan.candidate !== candidate) continue;
      rollout.stop(stopped);
      telemetry.stopped(rollout, stopped);
      isActive ||= rollout.plan.kind === 'probation';
      watches.push(watch);
    }
    this.#rejecting = this.#rejecting.then(() => this.#reject({ name, version: candidate, reason, isActive }));
    return watches;
  }

  async #reject(candidate: RejectedCandidate): Promise<void> {
    const refusal = await rejectCandidate(this.#options.ledger, candidate, this.#deps.log);
    if (refusal !== undefined)
      for (const watch of this.#watches.values()) {
        const { rollout } = watch;
        if (rollout?.plan.name !== candidate.name || rollout.plan.candidate !== candidate.version) continue;
        rollout.keepCandidate();
        watch.telemetry.notRolledBack(rollout, refusal);
        this.#release(this.#released(watch));
      }
    this.review();
  }

  #report(watch: string, rollout: Rollout): RolloutReport {
    const { plan, decides, stopped, tally } = rollout;
    const summary = tally.summary();
    const { minWindows } = this.#options.rules;
    const conclusion = concludeRollout({ plan, decides, summary, stopped: stopped?.reason, minWindows });
    return { watch, plan, decides, summary, stopped, conclusion };
  }

  #scheduleWrite(): void {
    this.#nextWrite = this.#timer(() => void this.#write().then(() => this.#scheduleWrite()), JOURNAL_MS);
  }

  async #write(): Promise<void> {
    const tallies = new Map(
      [...this.#watches].flatMap(([id, { rollout }]) =>
        rollout === undefined ? [] : [[journalKey(id, rollout.plan), rollout.tally.state]],
      ),
    );
    await this.#options.journal.write(tallies);
  }

  #timer(callback: () => void, delayMs: number): Timer {
    const run = (): void => {
      if (this.#state === 'running') callback();
    };
    return this.#deps.clock.setTimer(run, delayMs, { background: true });
  }
}

/** Returns the key of a tally. A rollout of other versions starts at zero. */
function journalKey(watch: string, { kind, name, candidate, incumbent }: RolloutPlan): string {
  return `${watch}: ${kind} ${name}@${candidate} beside ${incumbent}`;
}
