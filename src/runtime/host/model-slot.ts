import type { ModelReference } from '../../domain/model/model-reference.ts';
import { formatModelReference } from '../../domain/model/model-reference.ts';
import type { ModelStatus, ServedModel } from '../../contracts/inference.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import type { ProviderFallback } from '../../domain/alarm/verdict.ts';
import type { Deps } from '../../platform/deps.ts';
import type { OperatingError } from '../../platform/errors.ts';
import { errorCode } from '../../platform/errors.ts';
import type { HostProcess } from './host-process.ts';
import { CrashRecord } from './crash-record.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { loadFailureText } from './load-session.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelsConfig, ProviderConfig } from '../../models/store/models-config.ts';
import type { RunRequest } from './run-queue.ts';
import type { ReadySession } from './model-report.ts';
import { ModelReport } from './model-report.ts';
import { ModelUse } from './model-use.ts';
import { providersOf } from '../../models/store/serving.ts';
import { RemoteModel } from '../remote/remote-model.ts';

/** Runs that may fail one after another on a GPU before the host is replaced: a lost device does not come back in place. */
const PROVIDER_FAILURES_MAX = 3;

export type Misfits = (manifest: AnyManifest) => readonly string[];

export type ModelSlotOptions = {
  /** Under which it reports: `model/pump-anomaly`. */
  readonly component: string;
  /** Name of the host that it runs in. */
  readonly host: string;
  readonly misfits: Misfits;
  /** A version on a server took over from this one, which is in a host: what waits is for the server, the session can go. */
  readonly onMovedToServer: (before: ServedModel) => void;
  readonly config: ModelsConfig;
  readonly deps: Deps;
};

/** One configured model: where it stands, what it runs on, and what it did to the host. */
export class ModelSlot {
  readonly reference: ModelReference;
  /** As its watch names it; the key of its session in the host. */
  readonly label: string;
  /** Of the host that it runs in, unless it runs on a server. */
  readonly hostName: string;
  readonly providers: readonly ProviderConfig[];
  readonly #misfits: Misfits;
  readonly #onMovedToServer: (before: ServedModel) => void;
  readonly #deps: Deps;
  readonly #report: ModelReport;
  readonly use: ModelUse;
  readonly #crashes: CrashRecord;
  #state: ModelStatus['state'] = 'loading';
  #reason = 'not loaded yet';
  #stored: StoredModel | undefined;
  #attempted: number | undefined;
  #ready: ServedModel | undefined;
  /** What it was when its host was lost, with which it is expected back. */
  #returning: ServedModel | undefined;
  /** Who waits for it to be ready or not. */
  #settled = Promise.withResolvers<void>();
  /** Where it runs. */
  #host: HostProcess | RemoteModel | undefined;
  /** A remote version that is to take over once it is proved. */
  #coming: RemoteModel | undefined;
  #failedRuns = 0;
  #loadMs = 0;
  #isSoughtAgain = false;
  #removed = false;

  constructor(model: ModelReference, options: ModelSlotOptions) {
    const { host, config, deps } = options;
    this.reference = model;
    this.label = formatModelReference(model);
    this.providers = providersOf(config, model.name);
    this.#misfits = options.misfits;
    this.#onMovedToServer = options.onMovedToServer;
    this.#crashes = new CrashRecord(config.quarantine, this.providers);
    this.hostName = host;
    this.#deps = deps;
    this.#report = new ModelReport({ ...options, label: this.label });
    this.use = new ModelUse(this.label, config, deps);
  }

  /** Resolves once the load that is under way has ended, well or not. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /** Somebody asks for the active version to be looked up once more, after the load that may be under way. */
  seekAgain(): void {
    this.#isSoughtAgain = true;
    const before = this.#settled;
    this.#settled = Promise.withResolvers<void>();
    // Who waits already waits for this load too: the one under way may be given up for it.
    void this.#settled.promise.then(before.resolve);
  }

  /** Whether the active version is still to be looked up. */
  get isSought(): boolean {
    return this.#isSoughtAgain;
  }

  /** The active version is looked up now. */
  beginSeeking(): void {
    this.#isSoughtAgain = false;
  }

  /** The version to load again where its host was lost; undefined where one is to be looked up. */
  get known(): StoredModel | undefined {
    return this.#returning === undefined ? undefined : this.#stored;
  }

  /** As it is expected to be again, where its host was lost and nothing says that it will not come back. */
  get returning(): ServedModel | undefined {
    return this.#returning;
  }

  /** Whether a version runs, or is about to again, that goes on where another is refused. */
  get goesOn(): boolean {
    return this.remote !== undefined || this.#returning !== undefined;
  }

  /** How long a host took to load its version, at best: a busy machine takes longer. 0 before. */
  get loadMs(): number {
    return this.#loadMs;
  }

  /** Why the version that is now active does not run; '' where it does. */
  get refusal(): string {
    return this.#report.refusal;
  }

  /** The version that last became ready. */
  get stored(): StoredModel | undefined {
    return this.#stored;
  }

  get state(): ModelStatus['state'] {
    return this.remote === undefined ? this.#state : this.remote.ready === undefined ? 'failed' : 'ready';
  }

  get reason(): string {
    return this.#reason;
  }

  /** Where it runs, of a version that runs on a server. */
  get remote(): RemoteModel | undefined {
    return this.#host instanceof RemoteModel ? this.#host : undefined;
  }

  /** Providers given up since the start, and why. */
  get givenUp(): ReadonlyMap<string, string> {
    return this.#crashes.givenUp;
  }

  /** What would judge now, in this host or on a server; undefined where nothing can. */
  ready(host: HostProcess | undefined): ServedModel | undefined {
    return this.remote === undefined ? this.readyIn(host) : this.remote.ready;
  }

  /** The model as it runs in this host; undefined where it does not. */
  readyIn(host: HostProcess | undefined): ServedModel | undefined {
    return host !== undefined && host === this.#host ? this.#ready : undefined;
  }

  /** @param host The one that can be asked: a model that is ready in another, which is on its way out, loads again. */
  status(host: HostProcess | undefined): ModelStatus {
    const { name, version } = this.reference;
    if (this.remote !== undefined) return this.#remoteStatus(this.remote);
    const leaving = this.#state === 'ready' && this.readyIn(host) === undefined;
    return {
      name,
      version: (this.#returning === undefined ? this.#attempted : this.#stored?.version) ?? version ?? 0,
      state: leaving ? 'loading' : this.#state,
      reason: leaving ? 'the inference host is being replaced' : this.#reason,
      provider: this.#ready?.judgedBy.provider,
      fallbacks: this.#ready?.judgedBy.fallbacks ?? [...this.givenUp].map(fallback),
    };
  }

  /** For whoever wants to run it while it cannot. */
  notReady(host: HostProcess | undefined): OperatingError {
    const { state, reason } = this.status(host);
    return inferenceFailure('model-not-ready', `Model '${this.label}' is ${state}: ${reason}`);
  }

  /** Runs that waited for a host in which the model does not run any more: its server has them, or nobody. */
  turnAway(requests: readonly RunRequest[], host: HostProcess | undefined): void {
    const { remote } = this;
    for (const { inputs, priority, resolve, reject } of requests)
      if (remote === undefined) reject(this.notReady(host));
      else void remote.run(inputs, priority).then(resolve, reject);
  }

  /** @param stored The one that it had where it is loaded again as it was. */
  becomeReady(stored: StoredModel, session: ReadySession, host: HostProcess | RemoteModel): void {
    const { provider, fallbacks, loaded } = session;
    const isOther = stored !== this.#stored;
    const leftInHost = host instanceof RemoteModel ? this.#returning : undefined;
    const isNews = isOther || host instanceof RemoteModel || this.#ready?.judgedBy.provider !== provider.name;
    this.#stored = stored;
    this.#moveTo(host);
    // One that was to take over from the version that is back, in the next host, still is.
    if (isOther) this.dropComing();
    this.#state = 'ready';
    this.#reason = '';
    this.#ready = {
      manifest: stored.manifest,
      inputs: loaded.inputs,
      outputs: loaded.outputs,
      judgedBy: { model: stored.name, version: stored.version, provider: provider.name, fallbacks },
    };
    this.#returning = host instanceof RemoteModel ? undefined : this.#ready;
    this.use.begin(stored, loaded.batching);
    this.#loadMs = isOther ? loaded.loadMs : Math.min(this.#loadMs, loaded.loadMs);
    this.#settle();
    const isFault = this.givenUp.size > 0 && !(host instanceof RemoteModel);
    this.#report.runs(stored, session, { isOther, isFault, isNews });
    if (leftInHost !== undefined) this.#onMovedToServer(leftInHost);
  }

  /**
   * The version to run is on a server: it is tried there, and what runs goes on until it is proved. One that is there
   * already is tried anew where it is not well.
   */
  connect(stored: StoredModel, make: () => RemoteModel): void {
    if (this.#removed) return;
    const isThis = (remote: RemoteModel | undefined): remote is RemoteModel =>
      remote?.stored.version === stored.version && remote.stored.sha256 === stored.sha256;
    if (isThis(this.#coming)) return void this.#coming.retry();
    if (isThis(this.remote)) {
      // Who waits is told what comes of it.
      if (!this.remote.retry()) return this.unchanged();
      this.dropComing();
      return this.#report.accept();
    }
    this.dropComing();
    this.#coming = make();
    this.#coming.start();
  }

  /** A version that was to take over on a server is not wanted any more. */
  dropComing(): void {
    this.#coming?.close();
    this.#coming = undefined;
  }

  /**
   * What a remote version has to say of itself. One that is to take over does so only once it is proved, unless nothing
   * runs that could go on.
   */
  noteRemote(remote: RemoteModel, state: 'ok' | 'degraded' | 'failed', reason: string): void {
    if (remote !== this.#coming && remote !== this.#host) return;
    if (remote === this.#coming && this.goesOn) return this.#goOn(remote.stored.version, reason);
    if (remote === this.#coming) this.#moveTo(remote);
    this.#reason = reason;
    this.#settle();
    this.#report.trouble(state === 'ok' ? undefined : { state, reason });
  }

  /**
   * A model that failed or was set aside gets one more try; its health stays what it was until that has ended.
   *
   * @returns False where it did neither, and stays as it is.
   */
  retry(): boolean {
    if (this.#state !== 'failed' && this.#state !== 'quarantined') return false;
    this.#state = 'loading';
    return true;
  }

  /** @throws {OperatingError} 'model-watch-misfit' where those who use the model cannot use this version. */
  checkFits({ manifest }: StoredModel): void {
    const misfits = this.#misfits(manifest);
    if (misfits.length > 0) throw registryFailure('model-watch-misfit', misfits.join('; '));
  }

  /** The version whose loading is about to be tried. */
  noteAttempt(version: number): void {
    this.#attempted = version;
  }

  /** The version on disk is the one that runs. */
  unchanged(): void {
    this.dropComing();
    this.#settle();
    this.#report.accept();
  }

  /**
   * A newer version does not take over; the one that runs goes on.
   *
   * @param version Undefined where not even that is known.
   */
  keep(version: number | undefined, error: unknown): void {
    this.#report.noteError(error);
    this.dropComing();
    this.#goOn(version, loadFailureText(error));
    this.#deps.log.warn({ model: this.label, version, code: errorCode(error) }, this.refusal);
  }

  /** The model itself cannot run; it is tried again slowly. */
  fail(error: unknown): void {
    const reason = loadFailureText(error);
    this.#report.noteError(error);
    this.#leave('failed', reason);
    this.#report.away('failed', reason);
  }

  /** The host is away; it loads again by itself. */
  lose(reason: string): void {
    if (this.remote !== undefined || this.#state === 'failed' || this.#state === 'quarantined') return;
    this.#leave('loading', reason);
    this.#report.away('degraded', reason);
  }

  /**
   * It took the host down.
   *
   * @param provider What it was loading or running on.
   * @returns Whether the model is now set aside.
   */
  noteCrash(provider: string | undefined, reason: string): boolean {
    const text = this.#crashes.note(provider, reason, this.#deps.clock.monotonicMs());
    if (text === undefined) return false;
    this.#report.noteQuarantine();
    this.#leave('quarantined', text);
    this.#report.away('failed', `quarantined: ${text}`);
    return true;
  }

  /** @returns Whether the device behind the provider looks lost, so that the host must be replaced. */
  noteRun(succeeded: boolean): boolean {
    this.#failedRuns = succeeded || this.#ready?.judgedBy.provider === 'cpu' ? 0 : this.#failedRuns + 1;
    if (this.#failedRuns < PROVIDER_FAILURES_MAX) return false;
    this.#failedRuns = 0;
    return true;
  }

  remove(): void {
    this.#removed = true;
    this.use[Symbol.dispose]();
    this.remote?.close();
    this.dropComing();
    this.#moveTo(undefined);
    this.#report.remove();
    this.#settled.resolve();
  }

  #leave(state: ModelStatus['state'], reason: string): void {
    this.#state = state;
    this.#reason = reason;
    this.#ready = undefined;
    this.#moveTo(undefined);
    this.#failedRuns = 0;
    if (state === 'loading') return;
    // Where it is the version before that fails, the one that is to take over on a server is proved all the same.
    if (this.#returning === undefined) this.dropComing();
    this.#returning = undefined;
    this.#settle();
  }

  #remoteStatus({ stored, ready }: RemoteModel): ModelStatus {
    return {
      name: this.reference.name,
      version: stored.version,
      state: this.state,
      reason: ready === undefined ? this.#reason : '',
      provider: ready?.judgedBy.provider,
      fallbacks: ready?.judgedBy.fallbacks ?? [],
    };
  }

  /** @param active The version that cannot be used, for the reason. */
  #goOn(active: number | undefined, reason: string): void {
    const refused = active === undefined ? 'the active one' : `version ${active}, now active,`;
    const version = this.remote?.stored.version ?? this.#stored?.version ?? 0;
    this.#settle();
    this.#report.refuse(`version ${version} goes on; ${refused} did not take over: ${reason}`);
  }

  /** Lets go of the server that it ran on. */
  #moveTo(host: HostProcess | RemoteModel | undefined): void {
    const before = this.#host;
    if (host === before) return;
    this.#host = host;
    if (this.#coming === host) this.#coming = undefined;
    if (before instanceof RemoteModel) before.leave();
  }

  #settle(): void {
    if (!this.#isSoughtAgain) this.#settled.resolve();
  }
}

function fallback([provider, reason]: readonly [string, string]): ProviderFallback {
  return { provider, reason };
}
