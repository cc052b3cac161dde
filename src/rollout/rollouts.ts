import type { StoppedTrial, TrialBoard, TrialObstacle, TrialOverview, TrialReport } from '../contracts/rollout-board.ts';
import type { TrialJournal, TrialModels, VersionLedger, WindowModels } from '../contracts/rollout-models.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import { concludeTrial } from '../domain/rollout/rollout-conclusion.ts';
import type { ModelStanding, PlannedTrial, TrialPlan } from '../domain/rollout/rollout-plan.ts';
import { isSameTrial, planTrial } from '../domain/rollout/rollout-plan.ts';
import type { Breach, TrialRules } from '../domain/rollout/rollout-rules.ts';
import type { TallyState } from '../domain/rollout/rollout-tally.ts';
import { TrialTally } from '../domain/rollout/rollout-tally.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage } from '../platform/errors.ts';
import type { Judgement, Ticket } from '../pipeline/judge.ts';
import type { RejectedCandidate } from './candidate-rejection.ts';
import { finishRollback, rejectCandidate } from './candidate-rejection.ts';
import { Judge } from '../pipeline/judge.ts';
import { TrialLine } from './rollout-line.ts';
import { TrialTelemetry } from './rollout-telemetry.ts';
import { Trial } from './rollout.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';

/** How often figures are written, so that a power cut costs no more than that. */
const JOURNAL_MS = 300_000;
/** The next look at the model directory, while a rollback is under way, and after one that failed. */
const LOOK_AGAIN_MS = 500;
const LOOK_AFTER_FAILURE_MS = 60_000;

export type TrialsOptions = {
  readonly watches: ReadonlyMap<string, WatchConfig>;
  /** The watches' own models. */
  readonly inference: WindowModels;
  /** The versions under trial. */
  readonly models: TrialModels;
  readonly ledger: VersionLedger;
  readonly journal: TrialJournal;
  /** `withinMs`: how long a version that was made active is on probation; 0 for never. */
  readonly rules: TrialRules & { readonly withinMs: number };
  readonly deps: Deps;
};

/** What is known of a watch's trials. */
type WatchTrial = {
  readonly line: TrialLine;
  readonly telemetry: TrialTelemetry;
  /** The one under way, or the last one where it was stopped and nothing has come after it. */
  trial: Trial | undefined;
  /** Whether windows still go to its two versions. */
  running: boolean;
  planned: PlannedTrial;
  timer: Timer | undefined;
};

/**
 * Two versions of a model on the same windows of a watch: one decides, the other observes, and a candidate that is
 * found bad is stopped at once, remembered as rejected, and rolled back where it was the active version.
 *
 * What only observes delays nothing: its windows go to a process of its own, one batch waits there, and what falls due
 * meanwhile is skipped and counted. A canary is waited for as long as a run of it may take; then the watch's own model
 * has long judged the same window, and decides. Reports under `trial/<watch>`.
 */
export class Trials implements TrialBoard, AsyncDisposable {
  readonly #options: TrialsOptions;
  readonly #deps: Deps;
  readonly #judge: Judge;
  readonly #watches: ReadonlyMap<string, WatchTrial>;
  #onReleased: (judgements: readonly Judgement[]) => void = () => undefined;
  /** Of before the last restart, until their trials begin. */
  readonly #tallies = new Map<string, TallyState>();
  #looking: Promise<void> | undefined;
  #rejecting: Promise<void> = Promise.resolve();
  #lookAgain = false;
  #nextLook: Timer | undefined;
  #nextWrite: Timer | undefined;
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: TrialsOptions) {
    const { watches, models, deps } = options;
    this.#options = options;
    this.#deps = deps;
    this.#watches = new Map(
      [...watches.keys()].map((id) => [
        id,
        {
          line: new TrialLine(),
          telemetry: new TrialTelemetry(id, deps),
          trial: undefined,
          running: false,
          planned: { plan: undefined, obstacle: '', rejected: false },
          timer: undefined,
        },
      ]),
    );
    this.#judge = new Judge({
      inference: models,
      deps,
      // Nobody reads why a shadow calls a window abnormal; a canary's explanation goes into its verdict.
      explains: (model) => {
        const label = formatModelReference(model);
        return this.#running().some(
          ({ plan, guest }) => plan.kind === 'canary' && formatModelReference(guest) === label,
        );
      },
      onJudged: (judgements) => this.#release(this.#take('guest', judgements)),
    });
  }

  /** @param listener Gets judgements that had to wait for a trial's other version; those of a watch in order of time. */
  onReleased(listener: (judgements: readonly Judgement[]) => void): void {
    this.#onReleased = listener;
  }

  /** Before any model is loaded: a rollback that was cut off is finished, so that no rejected version decides. */
  async start(): Promise<void> {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    for (const [key, tally] of await this.#options.journal.read()) this.#tallies.set(key, tally);
    for (const name of this.#names()) await finishRollback(this.#options.ledger, name, this.#deps.log);
    this.review();
    await this.#looking;
    this.#scheduleWrite();
  }

  /** Looks again at which trials are to be held: another version was made active, or one was rejected. */
  review(): void {
    if (this.#state !== 'running') return;
    this.#lookAgain = true;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
      if (this.#lookAgain) this.review();
    });
  }

  /** A window of a watch fell due, and goes to the watch's own model. */
  enqueue(ticket: Ticket): void {
    const watch = this.#watches.get(ticket.watch);
    if (watch === undefined) return;
    const trial = watch.running ? watch.trial : undefined;
    watch.line.add(ticket, trial);
    if (trial === undefined) return;
    this.#judge.enqueue(trial.guest, ticket);
    this.#await(watch);
  }

  /** @returns Of judgements of the watches' own models, and of what waited for them, those that become verdicts now. */
  pass(judgements: readonly Judgement[]): readonly Judgement[] {
    return this.#take('own', judgements);
  }

  compare(model: string): ReturnType<TrialBoard['compare']> {
    const trials: TrialReport[] = [];
    const obstacles: TrialObstacle[] = [];
    for (const [id, { trial, planned }] of this.#watches) {
      if (this.#options.watches.get(id)?.model.name !== model) continue;
      if (trial !== undefined) trials.push(this.#report(trial));
      if (planned.obstacle !== '') obstacles.push({ watch: id, reason: planned.obstacle });
    }
    return { trials, obstacles };
  }

  trialOf(watch: string): TrialOverview | undefined {
    const trial = this.#watches.get(watch)?.trial;
    if (trial === undefined) return undefined;
    const { kind, candidate, incumbent } = trial.plan;
    const { windows, agreement } = trial.tally.summary();
    return { kind, candidate, incumbent, windows, agreement, stopped: trial.stopped?.reason };
  }

  /** Resolves when everything that was enqueued has been judged; the watches' own judge must be done before. */
  async settle(): Promise<void> {
    await this.#judge.settle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'stopped') return;
    const wasRunning = this.#state === 'running';
    this.#state = 'stopped';
    this.#nextLook?.cancel();
    this.#nextWrite?.cancel();
    for (const { timer } of this.#watches.values()) timer?.cancel();
    await this.settle();
    await this.#rejecting;
    await this.#looking;
    if (wasRunning) await this.#write();
    for (const { telemetry } of this.#watches.values()) telemetry.remove();
  }

  #names(): ReadonlySet<string> {
    return new Set([...this.#options.watches.values()].map(({ model }) => model.name));
  }

  #running(): readonly Trial[] {
    return [...this.#watches.values()].flatMap(({ trial, running }) =>
      trial === undefined || !running ? [] : [trial],
    );
  }

  async #look(): Promise<void> {
    while (this.#lookAgain && this.#state === 'running') {
      this.#lookAgain = false;
      this.#nextLook?.cancel();
      const standings = await this.#standings();
      if (this.#state !== 'running') return;
      const nowMs = this.#deps.clock.nowMs();
      let nextMs = standings.size < this.#names().size ? LOOK_AFTER_FAILURE_MS : Number.POSITIVE_INFINITY;
      for (const [id, watch] of this.#watches) {
        const config = this.#options.watches.get(id);
        const standing = standings.get(config?.model.name ?? '');
        if (config === undefined || standing === undefined) continue;
        nextMs = Math.min(nextMs, this.#plan(id, watch, config, standing, nowMs));
      }
      this.#options.models.want(this.#running().map(({ guest }) => guest));
      if (nextMs < Number.POSITIVE_INFINITY) this.#nextLook = this.#timer(() => this.review(), nextMs);
    }
  }

  async #standings(): Promise<ReadonlyMap<string, ModelStanding>> {
    const standings = new Map<string, ModelStanding>();
    for (const name of this.#names())
      try {
        standings.set(name, await this.#options.ledger.standing(name));
      } catch (error) {
        this.#deps.log.warn({ model: name }, `Trials stay as they are: ${errorMessage(error)}`);
      }
    return standings;
  }

  /** @returns After how many milliseconds to look again; Infinity where nothing changes by itself. */
  #plan(id: string, watch: WatchTrial, config: WatchConfig, standing: ModelStanding, nowMs: number): number {
    const wish = { model: config.model, shadow: config.shadow, canary: config.canary };
    const planned = planTrial(wish, standing, this.#options.rules.withinMs, nowMs);
    watch.planned = planned;
    const { trial } = watch;
    if (trial?.reverting === true && watch.running && this.#isStillIn(trial)) return LOOK_AGAIN_MS;
    const { plan } = planned;
    const isSame = trial !== undefined && plan !== undefined && isSameTrial(trial.plan, plan);
    const isOver = !watch.running || (trial?.stopped !== undefined && trial.decides !== trial.plan.candidate);
    if (!isSame || isOver) {
      trial?.end();
      watch.running = false;
      this.#release(this.#released(watch));
      if (plan !== undefined && !(isSame && trial.stopped !== undefined)) this.#begin(id, watch, config, plan);
      // Why a candidate was stopped is told until something else is active.
      else if (trial?.stopped === undefined || trial.decides !== (config.model.version ?? standing.active))
        watch.trial = undefined;
    }
    watch.telemetry.planned(watch.trial, planned);
    return plan?.endsMs === undefined ? Number.POSITIVE_INFINITY : Math.max(plan.endsMs - nowMs, 1);
  }

  /** Whether a version that was rolled back may still be the one in the watches' host: none other runs there yet. */
  #isStillIn({ watch, plan }: Trial): boolean {
    const model = this.#options.watches.get(watch)?.model;
    const ready = model === undefined ? undefined : this.#options.inference.ready(model);
    return (ready?.judgedBy.version ?? plan.candidate) === plan.candidate;
  }

  #begin(id: string, watch: WatchTrial, config: WatchConfig, plan: TrialPlan): void {
    const { rules, inference, models } = this.#options;
    const key = journalKey(id, plan);
    const tally = new TrialTally(this.#deps.clock.nowMs(), this.#tallies.get(key));
    this.#tallies.delete(key);
    const host = plan.kind === 'probation' ? inference : models;
    const isQuarantined = () =>
      host
        .statuses()
        .some(
          ({ name, version, state }) => name === plan.name && version === plan.candidate && state === 'quarantined',
        );
    watch.trial = new Trial({ watch: id, config, plan, rules, tally, isQuarantined });
    watch.running = true;
    const { kind, name, candidate, incumbent } = plan;
    this.#deps.log.info({ watch: id, kind, model: name, candidate, incumbent }, 'Trial begins.');
  }

  /** @returns What becomes verdicts now; those of a watch in order. */
  #take(side: 'own' | 'guest', judgements: readonly Judgement[]): readonly Judgement[] {
    const atMs = this.#deps.clock.monotonicMs();
    const moved = new Set<WatchTrial>();
    for (const judgement of judgements) {
      const watch = this.#watches.get(judgement.ticket.watch);
      const place = watch?.line.take(side, judgement, atMs);
      if (watch === undefined || place === undefined) continue;
      moved.add(watch);
      const { trial, window } = place;
      if (trial === undefined) continue;
      if (side === 'guest' && watch.trial === trial) watch.telemetry.guestAnswered(trial, judgement);
      const counted = trial.count(window, this.#options.models.deadlineMs(trial.guest), atMs);
      watch.telemetry.counted(counted);
      if (counted.breach !== undefined) for (const other of this.#stop(trial.plan, counted.breach)) moved.add(other);
    }
    return [...moved].flatMap((watch) => this.#released(watch));
  }

  #release(judgements: readonly Judgement[]): void {
    if (judgements.length > 0) this.#onReleased(judgements);
  }

  #released(watch: WatchTrial): readonly Judgement[] {
    const released = watch.line.release();
    for (const { isStandIn } of released) if (isStandIn) watch.telemetry.stoodIn();
    this.#await(watch);
    return released.map(({ judgement }) => judgement);
  }

  /** Sees to it that no window waits longer for a guest than a run of it may take. */
  #await(watch: WatchTrial): void {
    watch.timer?.cancel();
    watch.timer = undefined;
    const waiting = watch.line.waiting();
    if (waiting === undefined || this.#state === 'stopped') return;
    const untilMs = waiting.dueMs + this.#options.models.deadlineMs(waiting.trial.guest);
    const leftMs = untilMs - this.#deps.clock.monotonicMs();
    watch.timer = this.#timer(
      () => {
        watch.line.giveUpWaiting();
        this.#release(this.#released(watch));
      },
      Math.max(leftMs, 0),
    );
  }

  /**
   * The candidate is stopped on every watch that tries it; that it is rejected and rolled back follows in its own time.
   * @returns Those watches.
   */
  #stop({ name, candidate }: TrialPlan, { cause, reason }: Breach): readonly WatchTrial[] {
    const stopped: StoppedTrial = { cause, reason, timestampMs: this.#deps.clock.nowMs() };
    const watches = [...this.#watches.values()].filter(
      ({ trial, running }) =>
        running && trial?.stopped === undefined && trial?.plan.name === name && trial.plan.candidate === candidate,
    );
    for (const { trial, telemetry } of watches) {
      trial?.stop(stopped);
      if (trial !== undefined) telemetry.stopped(trial, stopped);
    }
    const isActive = watches.some(({ trial }) => trial?.plan.kind === 'probation');
    this.#rejecting = this.#rejecting.then(() => this.#reject({ name, version: candidate, reason, isActive }));
    return watches;
  }

  async #reject(candidate: RejectedCandidate): Promise<void> {
    const refusal = await rejectCandidate(this.#options.ledger, candidate, this.#deps.log);
    if (refusal !== '')
      for (const watch of this.#watches.values()) {
        const { trial } = watch;
        if (trial?.plan.name !== candidate.name || trial.plan.candidate !== candidate.version) continue;
        trial.keepCandidate();
        watch.telemetry.notRolledBack(trial, refusal);
        this.#release(this.#released(watch));
      }
    this.review();
  }

  #report(trial: Trial): TrialReport {
    const { watch, plan, decides, stopped, tally } = trial;
    const summary = tally.summary();
    const { minWindows } = this.#options.rules;
    const conclusion = concludeTrial({ plan, decides, summary, stopped: stopped?.reason, minWindows });
    return { watch, plan, decides, summary, stopped, conclusion };
  }

  #scheduleWrite(): void {
    this.#nextWrite = this.#timer(() => void this.#write().then(() => this.#scheduleWrite()), JOURNAL_MS);
  }

  async #write(): Promise<void> {
    const trials = [...this.#watches.values()].flatMap(({ trial }) => trial ?? []);
    const tallies = new Map(trials.map(({ watch, plan, tally }) => [journalKey(watch, plan), tally.state]));
    await this.#options.journal.write(tallies);
  }

  #timer(callback: () => void, delayMs: number): Timer {
    return this.#deps.clock.setTimer(
      () => {
        if (this.#state === 'running') callback();
      },
      delayMs,
      { background: true },
    );
  }
}

/** A trial of other versions begins from nothing. */
function journalKey(watch: string, { kind, name, candidate, incumbent }: TrialPlan): string {
  return `${watch}: ${kind} ${name}@${candidate} beside ${incumbent}`;
}
