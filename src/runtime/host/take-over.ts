import type { ModelReference } from '../../domain/model/model-reference.ts';
import { hasVersion } from '../../domain/model/lifecycle.ts';
import { isLoss } from '../../models/errors/host-loss.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import { inferenceMetrics } from '../queue/inference-metrics.ts';
import { connectRemote, type FallbackFor } from './connect-remote.ts';
import type { HostJobs } from './host-jobs.ts';
import type { HostProcess } from './host-process.ts';
import type { LiveHost } from './live-host.ts';
import type { MemoryBound } from './memory-bound.ts';
import { type ModelSlot, readyIn, serverOf, slotVersion } from './model-slot.ts';
import { type Candidate, prepareSuccessor, type RunningModel, type Successor } from './successor.ts';

export type TakeOverOptions = {
  readonly name: string;
  /** By label. */
  readonly slots: ReadonlyMap<string, ModelSlot>;
  readonly live: LiveHost;
  readonly jobs: HostJobs;
  readonly find: (model: ModelReference) => Promise<StoredModel>;
  readonly fallbackFor?: FallbackFor;
  readonly memory: MemoryBound;
  readonly health: ComponentHealth;
  readonly config: ModelsConfig;
  readonly deps: Deps;
};

/**
 * Replaces the live host: a fresh one is started, everything is loaded and proved there while the live one continues,
 * and the fresh one takes over in one step. A version changes this way, a model is loaded next to others that run this
 * way, and memory that ONNX Runtime keeps is released this way.
 *
 * One take-over runs at a time. Loads that are requested meanwhile go together into the next one. If the live host is
 * lost, the take-over is given up, and repeated after the models of the live host are back.
 */
export class TakeOver {
  readonly #options: TakeOverOptions;
  readonly #metrics;
  /** Memory of the live host, for an operator, if a fresh host is wanted even with the same models. */
  #tooLarge: string | undefined;
  #underWay: Promise<void> | undefined;
  #fresh: HostProcess | undefined;
  #stopped = false;

  constructor(options: TakeOverOptions) {
    this.#options = options;
    this.#metrics = options.deps.metrics.of(inferenceMetrics);
  }

  get isUnderWay(): boolean {
    return this.#underWay !== undefined;
  }

  /** @param tooLarge Memory that the live host takes, for an operator. */
  wantForMemory(tooLarge: string): void {
    this.#tooLarge = tooLarge;
    this.consider();
  }

  /** Starts the loads that are requested, if the live host has loaded its own models. */
  consider(): void {
    const live = this.#settledHost();
    if (this.#stopped || this.#underWay !== undefined || live === undefined) return;
    const slots = [...this.#options.slots.values()];
    // Their active version was refused or is on a server, so the lost version must be restored here.
    const lost = slots.filter(({ state }) => state.run.kind === 'lost' && state.load === 'idle');
    const requested = slots.filter(({ state }) => state.load === 'requested');
    // A version on a server is replaced only by one that was proved and measured.
    const mayLoadInPlace = requested.every((slot) => serverOf(slot) === undefined) && this.#running(live).length === 0;
    if (lost.length > 0) return this.#loadInPlace(lost);
    if (requested.length === 0 && this.#tooLarge === undefined) return;
    if (mayLoadInPlace) {
      this.#tooLarge = undefined;
      return this.#loadInPlace(requested);
    }
    this.#underWay = this.#renew(live).finally(() => {
      this.#fresh = undefined;
      this.#underWay = undefined;
      this.consider();
    });
  }

  /** Ends the fresh host: its loads take time from the host that is to bring the models back. */
  hostLost(): void {
    this.#fresh?.kill('stopped');
  }

  /** Every host must have been killed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#underWay;
  }

  /** Nothing runs that would have to wait. */
  #loadInPlace(slots: readonly ModelSlot[]): void {
    for (const slot of slots) this.#options.jobs.scheduler.add({ kind: 'load', model: slot });
  }

  /** Returns the live host if it has answered, has loaded its models and is not being replaced. */
  #settledHost(): HostProcess | undefined {
    const { jobs, live } = this.#options;
    return jobs.scheduler.activity === 'loading' || live.process?.lastAnswerMs === undefined ? undefined : live.process;
  }

  async #renew(live: HostProcess): Promise<void> {
    // Loads that are requested in the same turn, as by a reload of all models, go together.
    await Promise.resolve();
    const tooLarge = this.#tooLarge;
    this.#tooLarge = undefined;
    const candidates = new Set(await this.#lookUp(live));
    try {
      if (candidates.size === 0 && tooLarge === undefined) return;
      if (!this.#isLive(live)) throw inferenceFailure('host-crashed', 'the live host has ended');
      const successor = await this.#prepare(live, candidates, tooLarge !== undefined);
      if (successor === undefined) return;
      // Its end may have been detected already, and would not be noticed again.
      if (successor.host.doomed) throw inferenceFailure('host-crashed', 'it ended before it took over');
      this.#fresh = undefined;
      this.#logSwap(successor);
      await this.#swap(live, successor, candidates.size > 0 ? 'version' : 'memory');
      this.#tooLarge = undefined;
    } catch (error) {
      this.#fresh?.kill('stopped');
      if (!this.#isLive(live)) for (const { slot } of candidates) slot.apply({ kind: 'load-abandoned' });
      else {
        for (const { slot, stored } of candidates) this.#refuse(slot, stored, noFreshHost(error));
        if (tooLarge !== undefined)
          this.#options.health.report('degraded', `${tooLarge}, and ${noFreshHost(error).message}`);
      }
    }
  }

  /** Finds the active versions, and returns those that are to be loaded in a fresh host. */
  async #lookUp(live: HostProcess): Promise<readonly Candidate[]> {
    const found: Candidate[] = [];
    const requested = [...this.#options.slots.values()].filter(({ state }) => state.load === 'requested');
    for (const slot of requested) {
      slot.apply({ kind: 'load-begun' });
      try {
        const stored = await this.#options.find(slot.reference);
        slot.apply({ kind: 'version-found', version: stored.version, isRemote: stored.manifest.runtime === 'remote' });
        if (slot.state.run.kind === 'removed') continue;
        const running = readyIn(slot, live)?.manifest;
        if (running?.version === stored.version && running.sha256 === stored.manifest.sha256) {
          slot.apply({ kind: 'unchanged' });
          continue;
        }
        slot.checkFits(stored);
        if (stored.manifest.runtime === 'remote') connectRemote(slot, stored, this.#options);
        else found.push({ slot, stored });
      } catch (error) {
        this.#refuse(slot, undefined, error);
      }
    }
    return found;
  }

  /** @param candidates Candidates that are refused are removed from it. */
  #prepare(live: HostProcess, candidates: Set<Candidate>, isWantedAnyway: boolean): Promise<Successor | undefined> {
    const { name, live: hosts, memory, config, deps } = this.#options;
    const versions = [...candidates].map(({ stored }) => `${stored.name}@${stored.version}`);
    deps.log.info({ host: name, versions }, 'Preparing a fresh inference host to take over.');
    return prepareSuccessor({
      newHost: () => {
        if (!this.#isLive(live)) throw inferenceFailure('host-crashed', 'the live host has ended');
        return (this.#fresh = hosts.startAnother());
      },
      running: this.#running(live),
      candidates: [...candidates],
      isWantedAnyway,
      onRefused: ({ slot, stored }, error, provider) => {
        // Killed with the live host, or at the stop: the version is not at fault.
        if (!this.#isLive(live)) throw error;
        for (const candidate of candidates) if (candidate.slot === slot) candidates.delete(candidate);
        this.#refuse(slot, stored, error, provider);
      },
      memory,
      config,
      clock: deps.clock,
    });
  }

  #refuse(slot: ModelSlot, stored: StoredModel | undefined, error: unknown, provider?: string): void {
    this.#metrics.andon_model_versions_refused_total.inc({ model: slot.label, code: errorCode(error) });
    if (hasVersion(slot.state) || !isLoss(error) || provider === undefined)
      return slot.fail({ kind: 'refused', version: stored?.version }, error);
    slot.apply({ kind: 'load-crashed' });
    slot.noteCrash(provider, errorMessage(error));
  }

  #running(live: HostProcess): readonly RunningModel[] {
    return [...this.#options.slots.values()].flatMap((slot) => {
      const { run } = slot.state;
      if (run.kind !== 'local' || run.loaded.host !== live) return [];
      const { stored, session } = run.loaded;
      const provider = slot.crashes.providers.find(({ name }) => name === session.provider.name);
      return provider === undefined ? [] : [{ slot, stored, provider, fallbacks: session.fallbacks }];
    });
  }

  /**
   * Puts the fresh host in the place of the live one in one step. The run under way ends in the replaced host, and so do
   * runs whose inputs only a replaced version takes.
   */
  async #swap(replaced: HostProcess, successor: Successor, reason: 'memory' | 'version'): Promise<void> {
    const { name, live, jobs, memory, health, slots } = this.#options;
    const { host, models, residentBytes } = successor;
    live.replace(host);
    const finishReplaced = jobs.hostReplaced();
    for (const { slot, stored, session, isNew } of models) {
      const { run } = slot.state;
      const before = run.kind === 'local' && run.loaded.host === replaced ? run.loaded : undefined;
      const isOther = stored !== slot.state.last?.stored;
      // A model that was to continue as it is may have moved to a server or may have been unloaded.
      if (slots.get(slot.label) === slot && (isNew || !isOther))
        slot.apply({ kind: isNew ? 'loaded' : 'restored', loaded: slotVersion(slot, stored, session, host) });
      else void jobs.unload(slot.label);
      const now = readyIn(slot, host);
      if (isOther && now !== undefined) jobs.versionReplaced(slot, before, now);
    }
    this.#metrics.andon_inference_host_restarts_total.inc({ reason, host: name });
    this.#metrics.andon_inference_host_resident_bytes.set({ host: name }, residentBytes);
    const remark = memory.noteFresh(residentBytes, reason === 'version');
    health.report(remark === undefined ? 'ok' : 'degraded', remark);
    jobs.scheduler.pump();
    await finishReplaced();
    live.releaseReplaced();
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
