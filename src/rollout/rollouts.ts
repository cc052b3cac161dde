import type {
  StoppedRollout,
  RolloutStatuses,
  RolloutObstacle,
  RolloutOverview,
  RolloutReport,
} from '../contracts/rollout-statuses.ts';
import type { RolloutJournal, RolloutModels, VersionLedger, WindowModels } from '../contracts/rollout-models.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import { concludeRollout } from '../domain/rollout/rollout-conclusion.ts';
import type { ModelStanding, PlannedRollout, RolloutPlan } from '../domain/rollout/rollout-plan.ts';
import { isSameRollout, planRollout } from '../domain/rollout/rollout-plan.ts';
import type { Breach, RolloutRules } from '../domain/rollout/rollout-rules.ts';
import type { TallyState } from '../domain/rollout/rollout-tally.ts';
import { RolloutTally } from '../domain/rollout/rollout-tally.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage } from '../platform/errors.ts';
import type { VersionComparison } from '../pipeline/version-comparison.ts';
import type { Judgement, Ticket } from '../pipeline/judge.ts';
import type { RejectedCandidate } from './candidate-rejection.ts';
import { finishRollback, rejectCandidate } from './candidate-rejection.ts';
import { Judge } from '../pipeline/judge.ts';
import { RolloutLine } from './rollout-line.ts';
import { RolloutTelemetry } from './rollout-telemetry.ts';
import { Rollout } from './rollout.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';

/** How often figures are written, so that a power cut costs no more than that. */
const JOURNAL_MS = 300_000;
/** The next look at the model directory, while a rollback is under way, and after one that failed. */
const LOOK_AGAIN_MS = 500;
const LOOK_AFTER_FAILURE_MS = 60_000;

export type RolloutsOptions = {
  readonly watches: ReadonlyMap<string, WatchConfig>;
  /** The watches' own models. */
  readonly inference: WindowModels;
  /** The versions under rollout. */
  readonly models: RolloutModels;
  readonly ledger: VersionLedger;
  readonly journal: RolloutJournal;
  /** `withinMs`: how long a version that was made active is on probation; 0 for never. */
  readonly rules: RolloutRules & { readonly withinMs: number };
  readonly deps: Deps;
};

/** What is known of a watch's rollouts. */
type WatchRollout = {
  readonly line: RolloutLine;
  readonly telemetry: RolloutTelemetry;
  /** The one under way, or the last one where it was stopped and nothing has come after it. */
  rollout: Rollout | undefined;
  /** Whether windows still go to its two versions. */
  running: boolean;
  planned: PlannedRollout;
  timer: Timer | undefined;
};

/**
 * Two versions of a model on the same windows of a watch: one decides, the other observes, and a candidate that is
 * found bad is stopped at once, remembered as rejected, and rolled back where it was the active version.
 *
 * What only observes delays nothing: its windows go to a process of its own, one batch waits there, and what falls due
 * meanwhile is skipped and counted. A canary is waited for as long as a run of it may take; then the watch's own model
 * has long judged the same window, and decides. Reports under `rollout/<watch>`.
 */
export class Rollouts implements VersionComparison, RolloutStatuses, AsyncDisposable {
  readonly #options: RolloutsOptions;
  readonly #deps: Deps;
  readonly #judge: Judge;
  readonly #watches: ReadonlyMap<string, WatchRollout>;
  #onReleased: (judgements: readonly Judgement[]) => void = () => undefined;
  /** Of before the last restart, until their rollouts begin. */
  readonly #tallies = new Map<string, TallyState>();
  #looking: Promise<void> | undefined;
  #rejecting: Promise<void> = Promise.resolve();
  #lookAgain = false;
  #nextLook: Timer | undefined;
  #nextWrite: Timer | undefined;
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: RolloutsOptions) {
    const { watches, models, deps } = options;
    this.#options = options;
    this.#deps = deps;
    this.#watches = new Map(
      [...watches.keys()].map((id) => [
        id,
        {
          line: new RolloutLine(),
          telemetry: new RolloutTelemetry(id, deps),
          rollout: undefined,
          running: false,
          planned: { plan: undefined, obstacle: undefined, rejected: false },
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

  /** @param listener Gets judgements that had to wait for a rollout's other version; those of a watch in order of time. */
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

  /** Looks again at which rollouts are to be held: another version was made active, or one was rejected. */
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
    const rollout = watch.running ? watch.rollout : undefined;
    watch.line.add(ticket, rollout);
    if (rollout === undefined) return;
    this.#judge.enqueue(rollout.guest, ticket);
    this.#await(watch);
  }

  /** @returns Of judgements of the watches' own models, and of what waited for them, those that become verdicts now. */
  pass(judgements: readonly Judgement[]): readonly Judgement[] {
    return this.#take('own', judgements);
  }

  compare(model: string): ReturnType<RolloutStatuses['compare']> {
    const rollouts: RolloutReport[] = [];
    const obstacles: RolloutObstacle[] = [];
    for (const [id, { rollout, planned }] of this.#watches) {
      if (this.#options.watches.get(id)?.model.name !== model) continue;
      if (rollout !== undefined) rollouts.push(this.#report(rollout));
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

  #running(): readonly Rollout[] {
    return [...this.#watches.values()].flatMap(({ rollout, running }) =>
      rollout === undefined || !running ? [] : [rollout],
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
        this.#deps.log.warn({ model: name }, `Rollouts stay as they are: ${errorMessage(error)}`);
      }
    return standings;
  }

  /** @returns After how many milliseconds to look again; Infinity where nothing changes by itself. */
  #plan(id: string, watch: WatchRollout, config: WatchConfig, standing: ModelStanding, nowMs: number): number {
    const wish = { model: config.model, shadow: config.shadow, canary: config.canary };
    const planned = planRollout(wish, standing, this.#options.rules.withinMs, nowMs);
    watch.planned = planned;
    const { rollout } = watch;
    if (rollout?.reverting === true && watch.running && this.#isStillIn(rollout)) return LOOK_AGAIN_MS;
    const { plan } = planned;
    const isSame = rollout !== undefined && plan !== undefined && isSameRollout(rollout.plan, plan);
    const isOver = !watch.running || (rollout?.stopped !== undefined && rollout.decides !== rollout.plan.candidate);
    if (!isSame || isOver) {
      rollout?.end();
      watch.running = false;
      this.#release(this.#released(watch));
      if (plan !== undefined && !(isSame && rollout.stopped !== undefined)) this.#begin(id, watch, config, plan);
      // Why a candidate was stopped is told until something else is active.
      else if (rollout?.stopped === undefined || rollout.decides !== (config.model.version ?? standing.active))
        watch.rollout = undefined;
    }
    watch.telemetry.planned(watch.rollout, planned);
    return plan?.endsMs === undefined ? Number.POSITIVE_INFINITY : Math.max(plan.endsMs - nowMs, 1);
  }

  /** Whether a version that was rolled back may still be the one in the watches' host: none other runs there yet. */
  #isStillIn({ watch, plan }: Rollout): boolean {
    const model = this.#options.watches.get(watch)?.model;
    const ready = model === undefined ? undefined : this.#options.inference.ready(model);
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
    watch.rollout = new Rollout({ watch: id, config, plan, rules, tally, isQuarantined });
    watch.running = true;
    const { kind, name, candidate, incumbent } = plan;
    this.#deps.log.info({ watch: id, kind, model: name, candidate, incumbent }, 'Rollout begins.');
  }

  /** @returns What becomes verdicts now; those of a watch in order. */
  #take(side: 'own' | 'guest', judgements: readonly Judgement[]): readonly Judgement[] {
    const atMs = this.#deps.clock.monotonicMs();
    const moved = new Set<WatchRollout>();
    for (const judgement of judgements) {
      const watch = this.#watches.get(judgement.ticket.watch);
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

  /** Sees to it that no window waits longer for a guest than a run of it may take. */
  #await(watch: WatchRollout): void {
    watch.timer?.cancel();
    watch.timer = undefined;
    const waiting = watch.line.waiting();
    if (waiting === undefined || this.#state === 'stopped') return;
    const untilMs = waiting.dueMs + this.#options.models.deadlineMs(waiting.rollout.guest);
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
  #stop({ name, candidate }: RolloutPlan, { cause, reason }: Breach): readonly WatchRollout[] {
    const stopped: StoppedRollout = { cause, reason, timestampMs: this.#deps.clock.nowMs() };
    const watches = [...this.#watches.values()].filter(
      ({ rollout, running }) =>
        running &&
        rollout?.stopped === undefined &&
        rollout?.plan.name === name &&
        rollout.plan.candidate === candidate,
    );
    for (const { rollout, telemetry } of watches) {
      rollout?.stop(stopped);
      if (rollout !== undefined) telemetry.stopped(rollout, stopped);
    }
    const isActive = watches.some(({ rollout }) => rollout?.plan.kind === 'probation');
    this.#rejecting = this.#rejecting.then(() => this.#reject({ name, version: candidate, reason, isActive }));
    return watches;
  }

  async #reject(candidate: RejectedCandidate): Promise<void> {
    const refusal = await rejectCandidate(this.#options.ledger, candidate, this.#deps.log);
    if (refusal !== '')
      for (const watch of this.#watches.values()) {
        const { rollout } = watch;
        if (rollout?.plan.name !== candidate.name || rollout.plan.candidate !== candidate.version) continue;
        rollout.keepCandidate();
        watch.telemetry.notRolledBack(rollout, refusal);
        this.#release(this.#released(watch));
      }
    this.review();
  }

  #report(rollout: Rollout): RolloutReport {
    const { watch, plan, decides, stopped, tally } = rollout;
    const summary = tally.summary();
    const { minWindows } = this.#options.rules;
    const conclusion = concludeRollout({ plan, decides, summary, stopped: stopped?.reason, minWindows });
    return { watch, plan, decides, summary, stopped, conclusion };
  }

  #scheduleWrite(): void {
    this.#nextWrite = this.#timer(() => void this.#write().then(() => this.#scheduleWrite()), JOURNAL_MS);
  }

  async #write(): Promise<void> {
    const rollouts = [...this.#watches.values()].flatMap(({ rollout }) => rollout ?? []);
    const tallies = new Map(rollouts.map(({ watch, plan, tally }) => [journalKey(watch, plan), tally.state]));
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

/** A rollout of other versions begins from nothing. */
function journalKey(watch: string, { kind, name, candidate, incumbent }: RolloutPlan): string {
  return `${watch}: ${kind} ${name}@${candidate} beside ${incumbent}`;
}
