import type { Deps } from '../../platform/deps.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import type { HostProcess } from './host-process.ts';
import { isLoss } from '../../models/errors/host-loss.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { inferenceMetrics } from '../queue/inference-metrics.ts';
import type { MemoryBound } from './memory-bound.ts';
import type { ModelDirectory, StoredModel } from '../../models/store/model-directory.ts';
import type { ModelSlot } from './model-slot.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import type { Candidate, RunningModel, Successor } from './successor.ts';
import { prepareSuccessor } from './successor.ts';

/** Why a fresh host took the place of the live one; label of a metric. */
export type TakeOverReason = 'memory' | 'version';

export type TakeOverOptions = {
  readonly name: string;
  readonly slots: () => readonly ModelSlot[];
  /** The live host, unless it is on its way out or has not answered yet; none while it loads its models. */
  readonly settledHost: () => HostProcess | undefined;
  readonly newHost: () => HostProcess;
  /** Loads a model in the live host, where no other runs that would have to wait. */
  readonly loadInPlace: (slot: ModelSlot) => void;
  /** Has a version that is on a server proved there, and take over by itself. */
  readonly connect: (slot: ModelSlot, stored: StoredModel) => void;
  /** Puts the successor in the place of the live host, at once; resolves once that one is gone. */
  readonly swap: (successor: Successor, reason: TakeOverReason) => Promise<void>;
  /** A model took a fresh host down at its first load. */
  readonly onCrash: (slot: ModelSlot, provider: string | undefined, reason: string) => void;
  /** A version was refused for another reason. */
  readonly onRefused: (slot: ModelSlot) => void;
  /** A fresh host was wanted for its memory, and could not be had. */
  readonly onNotRecycled: (reason: string) => void;
  readonly memory: MemoryBound;
  readonly directory: ModelDirectory;
  readonly config: ModelsConfig;
  readonly deps: Deps;
};

/**
 * Renews a live host: a fresh one is started, everything is loaded and proved there while the live one goes on, and
 * then takes its place in one step. It is how a version changes, how a model is loaded beside others that run, and how
 * the memory that ONNX Runtime keeps is given back.
 *
 * One take-over at a time. Whatever is wanted while one is under way goes together into the next. Where the live host
 * is lost, the take-over is given up, and made again once its models are back.
 */
export class TakeOver {
  readonly #options: TakeOverOptions;
  readonly #metrics;
  /** Whose active version is to be looked up, and loaded where it is another. */
  readonly #wanted = new Set<ModelSlot>();
  /** That were lost with a host, and whose active version was refused or is on a server: the one before is to be back. */
  readonly #stranded = new Set<ModelSlot>();
  /** Why a fresh host is wanted even with the same models; '' where it is not. */
  #tooLarge = '';
  #underWay: Promise<void> | undefined;
  #fresh: HostProcess | undefined;
  #stopped = false;

  constructor(options: TakeOverOptions) {
    this.#options = options;
    this.#metrics = options.deps.metrics.of(inferenceMetrics);
  }

  want(slot: ModelSlot): void {
    this.#wanted.add(slot);
    this.consider();
  }

  /** It is unloaded. */
  forget(slot: ModelSlot): void {
    this.#wanted.delete(slot);
    this.#stranded.delete(slot);
  }

  /** @param tooLarge For an operator: how much memory the live host takes. */
  wantForMemory(tooLarge: string): void {
    this.#tooLarge = tooLarge;
    this.consider();
  }

  /** Begins what is wanted, where the live host is there and has loaded what it had to. */
  consider(): void {
    const live = this.#options.settledHost();
    if (this.#stopped || this.#underWay !== undefined || live === undefined) return;
    if (this.#wanted.size === 0 && this.#tooLarge === '') return;
    // What judges on a server is displaced by nothing that was not proved and measured.
    const mayDisplace = [...this.#wanted].some(({ remote }) => remote !== undefined);
    if (!mayDisplace && this.#running(live).length === 0) {
      this.#loadInPlace();
      return;
    }
    this.#underWay = this.#renew(live).finally(() => {
      this.#fresh = undefined;
      this.#underWay = undefined;
      for (const slot of this.#stranded) this.#options.loadInPlace(slot);
      this.#stranded.clear();
      this.consider();
    });
  }

  /** Whether it is decided that a model is loaded in a fresh host. */
  get isUnderWay(): boolean {
    return this.#underWay !== undefined;
  }

  /** What loads in the fresh host takes time from the one that is to bring the models back. */
  hostLost(): void {
    this.#fresh?.kill('stopped');
  }

  /** Every host must have been killed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#underWay;
  }

  /** Where nothing runs, nothing has to wait. What was lost with a host comes back as it was, and is looked up then. */
  #loadInPlace(): void {
    this.#tooLarge = '';
    const wanted = [...this.#wanted];
    for (const slot of wanted) {
      if (slot.known === undefined) this.#wanted.delete(slot);
      slot.retry();
      this.#options.loadInPlace(slot);
    }
  }

  async #renew(live: HostProcess): Promise<void> {
    // What is wanted in the same turn, as by a reload of all models, goes together.
    await Promise.resolve();
    const sought = [...this.#wanted];
    const tooLarge = this.#tooLarge;
    this.#wanted.clear();
    this.#tooLarge = '';
    const candidates = new Set(await this.#lookUp(sought, live));
    try {
      if (candidates.size === 0 && tooLarge === '') return;
      if (!this.#isLive(live)) throw inferenceFailure('host-crashed', 'the live host is gone');
      const successor = await this.#prepare(live, candidates, tooLarge !== '');
      if (successor === undefined) return;
      // Its end may have been seen already; then nobody would notice that it is not there.
      if (successor.host.doomed) throw inferenceFailure('host-crashed', 'it ended before it took over');
      this.#fresh = undefined;
      this.#logSwap(successor);
      await this.#options.swap(successor, candidates.size > 0 ? 'version' : 'memory');
      this.#tooLarge = '';
    } catch (error) {
      this.#fresh?.kill('stopped');
      if (!this.#isLive(live)) for (const { slot } of candidates) this.#wanted.add(slot);
      else {
        for (const { slot, stored } of candidates) this.#refuse(slot, stored, noFreshHost(error), undefined, live);
        if (tooLarge !== '') this.#options.onNotRecycled(`${tooLarge}, and ${noFreshHost(error).message}`);
      }
    }
  }

  /** Finds the versions that are now active; one that runs already, or cannot be used, is told so. */
  async #lookUp(sought: readonly ModelSlot[], live: HostProcess): Promise<readonly Candidate[]> {
    const found: Candidate[] = [];
    for (const slot of sought) {
      slot.retry();
      slot.beginSeeking();
      try {
        const stored = await this.#options.directory.find(slot.reference);
        if (!this.#options.slots().includes(slot)) continue;
        const running = slot.readyIn(live)?.manifest;
        slot.noteAttempt(stored.version);
        if (running?.version === stored.version && running.sha256 === stored.manifest.sha256) slot.unchanged();
        else {
          slot.checkFits(stored);
          if (stored.manifest.runtime === 'remote') {
            this.#options.connect(slot, stored);
            this.#strand(slot, live);
          } else {
            slot.dropComing();
            found.push({ slot, stored });
          }
        }
      } catch (error) {
        this.#refuse(slot, undefined, error, undefined, live);
      }
    }
    return found;
  }

  /** @param candidates Those that are refused are taken out. */
  #prepare(live: HostProcess, candidates: Set<Candidate>, isWantedAnyway: boolean): Promise<Successor | undefined> {
    const { name, newHost, memory, config, deps } = this.#options;
    const versions = [...candidates].map(({ stored }) => `${stored.name}@${stored.version}`);
    deps.log.info({ host: name, versions }, 'A fresh inference host is made ready to take over.');
    return prepareSuccessor({
      newHost: () => {
        if (!this.#isLive(live)) throw inferenceFailure('host-crashed', 'the live host is gone');
        return (this.#fresh = newHost());
      },
      running: this.#running(live),
      candidates: [...candidates],
      isWantedAnyway,
      onRefused: ({ slot, stored }, error, provider) => {
        // Killed with the live host, or at the stop: nobody's fault.
        if (!this.#isLive(live)) throw error;
        for (const candidate of candidates) if (candidate.slot === slot) candidates.delete(candidate);
        this.#refuse(slot, stored, error, provider, live);
      },
      memory,
      config,
      clock: deps.clock,
    });
  }

  #refuse(
    slot: ModelSlot,
    stored: StoredModel | undefined,
    error: unknown,
    provider: string | undefined,
    live: HostProcess,
  ): void {
    const { slots, onCrash, onRefused } = this.#options;
    this.#metrics.andon_model_versions_refused_total.inc({ model: slot.label, code: errorCode(error) });
    if (!slots().includes(slot)) return;
    if (slot.goesOn) {
      slot.keep(stored?.version, error);
      this.#strand(slot, live);
    } else if (isLoss(error) && provider !== undefined) return onCrash(slot, provider, errorMessage(error));
    else slot.fail(error);
    onRefused(slot);
  }

  #strand(slot: ModelSlot, live: HostProcess): void {
    if (slot.known !== undefined && slot.readyIn(live) === undefined) this.#stranded.add(slot);
  }

  #running(live: HostProcess): readonly RunningModel[] {
    return this.#options.slots().flatMap((slot) => {
      const judgedBy = slot.readyIn(live)?.judgedBy;
      const provider = slot.providers.find(({ name }) => name === judgedBy?.provider);
      const { stored } = slot;
      if (judgedBy === undefined || provider === undefined || stored === undefined) return [];
      return [{ slot, stored, provider, fallbacks: judgedBy.fallbacks }];
    });
  }

  #logSwap({ host, models, residentBytes }: Successor): void {
    const latency = Object.fromEntries(
      models.flatMap(({ slot, latency: figures }) => (figures === undefined ? [] : [[slot.label, figures]])),
    );
    const fields = { host: this.#options.name, pid: host.pid, residentBytes, latency };
    this.#options.deps.log.info(fields, 'A fresh inference host takes over.');
  }

  #isLive(live: HostProcess): boolean {
    return !this.#stopped && !live.doomed;
  }
}

function noFreshHost(error: unknown): Error {
  return inferenceFailure('host-crashed', `no fresh host could take over: ${errorMessage(error)}`, { cause: error });
}
