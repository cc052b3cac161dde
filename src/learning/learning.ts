import { join } from 'node:path';
import type { LoadedModels } from '../contracts/inference.ts';
import type { LearningOverview, LearningStatuses } from '../contracts/learning-statuses.ts';
import type { ExactModel, ModelRegistry } from '../contracts/model-registry.ts';
import type { VersionLedger } from '../contracts/rollout-models.ts';
import type { SampleHistory } from '../contracts/sample-history.ts';
import type { WatchStatuses } from '../contracts/watch-statuses.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import type { ModelDirectory } from '../models/store/model-directory.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import { doubtAbout, ModelLearner } from './model-learner.ts';
import type { TrainedVersion } from './training-job.ts';

/** Longest interval between two looks at the present values and at the model directory. */
const LOOK_MS_MAX = 10_000;
/** Interval while models load for the first time. */
const LOOK_SOON_MS = 500;
const ACTOR = 'agent';

export type LearningOptions = {
  readonly watches: ReadonlyMap<string, WatchConfig>;
  readonly inference: Pick<LoadedModels, 'statuses'>;
  readonly directory: Pick<ModelDirectory, 'versions'>;
  readonly ledger: Pick<VersionLedger, 'standing'>;
  readonly registry: Pick<ModelRegistry, 'activate'>;
  /** Judges the windows of a model with one more version, for comparison; undefined ends that. */
  readonly propose: (model: string, version: number | undefined) => void;
  readonly board: WatchStatuses;
  /** Returns the tags that are not in a watch but of its sources: they may show states of the machine. */
  readonly tagsNextTo: (watch: string) => ReadonlySet<string>;
  /** Absolute paths of the configuration and of the model directory, for texts. */
  readonly paths: { readonly config: string; readonly models: string };
  readonly history: SampleHistory;
  /** How long a value of a watch counts, ms. */
  readonly maxAgeMs: (watch: WatchConfig) => number;
  /** Trains a new version of the watch's model from the history and logs it; rejects if `signal` is aborted. */
  readonly train: (watch: string, fromMs: EpochMs, toMs: EpochMs, signal: AbortSignal) => Promise<TrainedVersion>;
  readonly deps: Deps;
};

/** 'first': no version is active. 'next': the active version is older than `learn.retrain`, or a newer one waits. */
type Need = { readonly kind: 'first' | 'next'; readonly waiting: number | undefined };

type Learner = { readonly learner: ModelLearner; readonly kind: Need['kind']; readonly health: ComponentHealth };

/**
 * Trains a model for each watch without an active one as soon as the history covers `learn.for` of normal running, and
 * another one when the active one is older than `learn.retrain`; one at a time. A first version is proposed, or activated
 * with `learn.activate: automatic`; a later one is proposed as a shadow. Reports health `learning/<watch>` meanwhile.
 *
 * Watches that share a model learn it once, from the history of the first of them.
 */
export class Learning implements LearningStatuses, AsyncDisposable {
  readonly #options: LearningOptions;
  #watches: ReadonlyMap<string, WatchConfig>;
  /** By model name. */
  readonly #learners = new Map<string, Learner>();
  readonly #stopping = new AbortController();
  #looking: Promise<void> = Promise.resolve();
  #training: Promise<void> | undefined;
  #timer: Timer | undefined;

  constructor(options: LearningOptions) {
    this.#options = options;
    this.#watches = options.watches;
  }

  start(): void {
    this.#look();
  }

  /** @param ended Watches that ended or start again: what they learn starts again. */
  change(watches: ReadonlyMap<string, WatchConfig>, ended: ReadonlySet<string>): void {
    this.#watches = watches;
    for (const [name, learner] of this.#learners) if (ended.has(learner.learner.watch)) this.#end(name, learner);
  }

  learningOf(watch: string): LearningOverview | undefined {
    const name = this.#watches.get(watch)?.model.name ?? '';
    return this.#learners.get(name)?.learner.overview(this.#options.deps.clock.nowMs());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    this.#timer?.cancel();
    await this.#looking;
    await this.#training;
    for (const { health } of this.#learners.values()) health.remove();
  }

  /** Looks at all models, and again later. */
  #look(): void {
    const { clock, log } = this.#options.deps;
    this.#looking = this.#lookOnce()
      .catch((error: unknown) => {
        log.warn({ code: errorCode(error) }, `Learning continues later: ${errorMessage(error)}`);
      })
      .then(() => {
        if (this.#stopping.signal.aborted) return;
        const intervals = [...this.#learners.values()].map(({ learner }) => learner.intervalMs);
        if (this.#options.inference.statuses().some(({ state }) => state === 'loading')) intervals.push(LOOK_SOON_MS);
        this.#timer = clock.setTimer(() => this.#look(), Math.min(LOOK_MS_MAX, ...intervals), { background: true });
      });
  }

  async #lookOnce(): Promise<void> {
    const learned = new Set<string>();
    for (const [id, watch] of this.#watches) {
      const { name, version } = watch.model;
      if (version !== undefined || learned.has(name)) continue;
      learned.add(name);
      const need = await this.#need(watch);
      const learner = this.#learners.get(name);
      if (learner !== undefined && learner.kind !== need?.kind) this.#end(name, learner);
      else if (learner !== undefined) this.#checkProposal(name, learner, need?.waiting);
      if (need !== undefined && !this.#learners.has(name)) await this.#begin(id, watch, need);
    }
    this.#observe();
    for (const learner of this.#learners.values()) {
      if (learner.learner.isDue) this.#train(learner);
      this.#report(learner);
    }
  }

  async #need({ model: { name }, learn }: WatchConfig): Promise<Need | undefined> {
    const { inference, directory, ledger, deps } = this.#options;
    const ofModel = inference.statuses().filter((status) => status.name === name);
    const isAbsent = ofModel.some(({ state }) => state === 'absent');
    if (!isAbsent && (learn.retrainMs === 'never' || ofModel.every(({ state }) => state !== 'ready'))) return undefined;
    const { active, activatedMs = deps.clock.nowMs(), rejected } = await ledger.standing(name);
    const newest = (await directory.versions(name)).findLast((found) => !rejected.some((one) => one.version === found));
    if (isAbsent) return { kind: 'first', waiting: newest };
    if (learn.retrainMs === 'never') return undefined;
    if (active !== undefined && newest !== undefined && newest > active) return { kind: 'next', waiting: newest };
    return deps.clock.nowMs() - activatedMs > learn.retrainMs ? { kind: 'next', waiting: undefined } : undefined;
  }

  async #begin(id: string, watch: WatchConfig, { kind, waiting }: Need): Promise<void> {
    const { history, maxAgeMs, deps } = this.#options;
    const learner = new ModelLearner({
      watch: id,
      config: watch,
      maxAgeMs: maxAgeMs(watch),
      nowMs: deps.clock.nowMs(),
      advice: (version) => this.#advice({ name: watch.model.name, version }),
    });
    const health = deps.health.component(`learning/${id}`);
    health.report('ok', 'collecting: the history is read');
    this.#learners.set(watch.model.name, { learner, kind, health });
    if (waiting === undefined) await learner.readHistory(history, deps.clock.nowMs(), this.#stopping.signal);
    else this.#propose({ learner, kind }, waiting, 'a trained version is not active');
  }

  /** A person may train, install, remove or reject versions meanwhile. */
  #checkProposal(name: string, { learner, kind }: Learner, waiting: number | undefined): void {
    const { phase, version } = learner.overview(this.#options.deps.clock.nowMs());
    if (version === waiting || this.#training !== undefined) return;
    if (waiting !== undefined && waiting > (version ?? 0))
      return this.#propose({ learner, kind }, waiting, 'a trained version is not active');
    if (phase !== 'proposed') return;
    learner.failed(`version ${version} was removed or rejected`);
    if (kind === 'next') this.#options.propose(name, undefined);
  }

  #end(name: string, { health, kind }: Learner): void {
    health.remove();
    this.#learners.delete(name);
    if (kind === 'next') this.#options.propose(name, undefined);
  }

  #observe(): void {
    if (this.#learners.size === 0) return;
    const nowMs = this.#options.deps.clock.nowMs();
    const { board, tagsNextTo } = this.#options;
    const readings = new Map(board.watches().map(({ watch, tags }) => [watch, tags]));
    const all = board.tags();
    for (const { learner } of this.#learners.values()) {
      const others = tagsNextTo(learner.watch);
      learner.observe(
        readings.get(learner.watch) ?? [],
        all.filter(({ tag }) => others.has(tag)),
        nowMs,
      );
    }
  }

  #advice(model: ExactModel) {
    const { paths } = this.#options;
    return {
      report: join(paths.models, model.name, String(model.version), 'report.md'),
      command: `andon models activate ${formatModelReference(model)} -c ${shellWord(paths.config)}`,
    };
  }

  #report({ learner, health }: Learner): void {
    const nowMs = this.#options.deps.clock.nowMs();
    const { phase, reason } = learner.overview(nowMs);
    health.report(phase === 'failed' || learner.isOverdue(nowMs) ? 'degraded' : 'ok', `${phase}: ${reason}`);
  }

  #train(learner: Learner): void {
    if (this.#training !== undefined || this.#stopping.signal.aborted) return;
    this.#training = this.#trainOnce(learner).finally(() => {
      this.#training = undefined;
    });
  }

  async #trainOnce(of: Learner): Promise<void> {
    const { train, deps } = this.#options;
    const { learner } = of;
    const { watch } = learner;
    learner.training();
    try {
      const trained = await train(watch, learner.fromMs(deps.clock.nowMs()), deps.clock.nowMs(), this.#stopping.signal);
      await this.#offer(of, trained);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      learner.failed(errorMessage(error));
      deps.log.warn({ watch, code: errorCode(error) }, `No model was trained: ${errorMessage(error)}`);
    }
  }

  /** Activates a first version if that is configured and nothing speaks against it; proposes it otherwise. */
  async #offer(of: Learner, trained: TrainedVersion): Promise<void> {
    const { config } = of.learner;
    const { name } = config.model;
    // Meanwhile an operator activated another version.
    if (this.#learners.get(name) !== of) return;
    if (of.kind === 'next' || config.learn.activate === 'propose')
      return this.#propose(of, trained.version, trained.comparison?.reason ?? 'a model is trained');
    const doubt = doubtAbout(trained, config.tags.length - (config.mode === undefined ? 0 : 1));
    if (doubt !== undefined)
      return this.#propose(of, trained.version, `it is not activated automatically, because ${doubt}`);
    try {
      await this.#options.registry.activate({ name, version: trained.version }, ACTOR);
    } catch (error) {
      this.#propose(of, trained.version, `it could not be activated: ${errorMessage(error)}`);
    }
  }

  #propose({ learner, kind }: Pick<Learner, 'learner' | 'kind'>, version: number, because: string): void {
    learner.proposed(version, because);
    if (kind === 'next') this.#options.propose(learner.config.model.name, version);
  }
}

/** Returns a path as one word of a shell. */
function shellWord(path: string): string {
  return /^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
