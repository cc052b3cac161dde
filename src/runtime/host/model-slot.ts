import type { ServedModel } from '../../contracts/inference.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import {
  type ModelEffect,
  type ModelEvent,
  type ModelState,
  newModelState,
  step,
} from '../../domain/model/lifecycle.ts';
import { formatModelReference, type ModelReference } from '../../domain/model/model-reference.ts';
import { loadFailureText } from '../../models/errors/load-failure-text.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { providersOf } from '../../models/store/serving.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode } from '../../platform/errors.ts';
import { ModelUse } from '../queue/model-use.ts';
import type { ReadySession, RemoteModel, RemoteOwner } from '../remote/remote-model.ts';
import { CrashRecord } from './crash-record.ts';
import type { HostProcess } from './host-process.ts';
import { ModelReport } from './model-report.ts';

/** Returns why the watches that use a model cannot use this version; empty if they can. */
export type Incompatibilities = (manifest: AnyManifest) => readonly string[];

/** A version that was loaded and proved. */
export type SlotVersion = {
  readonly stored: StoredModel;
  readonly provider: string;
  readonly served: ServedModel;
  readonly session: ReadySession;
  /** Undefined if it runs on a server. */
  readonly host: HostProcess | undefined;
  /** Shortest load so far: a busy machine takes longer. */
  readonly loadMs: number;
};

export type SlotState = ModelState<SlotVersion, RemoteModel>;
type SlotEffect = ModelEffect<SlotVersion, RemoteModel>;
/** Effects that the host of the slot carries out. */
export type HostEffect = Extract<
  SlotEffect,
  { readonly kind: 'unload-local' | 'reject-waiting' | 'retry-later' | 'retry-soon' }
>;

type FailedLoad =
  | { readonly kind: 'refused'; readonly version: number | undefined }
  | { readonly kind: 'restore-failed' };

export type ModelSlotOptions = {
  /** Name of its health component: `model/pump-anomaly`. */
  readonly component: string;
  /** Name of the host that it runs in. */
  readonly host: string;
  readonly incompatibilities: Incompatibilities;
  /** True if the model may have no active version yet, because its watches are learning. */
  readonly mayBeAbsent: boolean;
  readonly onEffect: (slot: ModelSlot, effect: HostEffect) => void;
  readonly config: ModelsConfig;
  readonly deps: Deps;
};

/** One configured model: its lifecycle, and what carries out the effects of it. */
export class ModelSlot {
  readonly reference: ModelReference;
  /** Name of the model in its watch; the key of its session in the host. */
  readonly label: string;
  /** Name of the host that it runs in, unless it runs on a server. */
  readonly hostName: string;
  readonly use: ModelUse;
  readonly crashes: CrashRecord;
  readonly #options: ModelSlotOptions;
  readonly #report: ModelReport;
  #state: SlotState = newModelState;
  #callers: (() => void)[] = [];

  constructor(model: ModelReference, options: ModelSlotOptions) {
    const { host, config, deps } = options;
    this.reference = model;
    this.label = formatModelReference(model);
    this.hostName = host;
    this.#options = options;
    this.crashes = new CrashRecord(config.quarantine, providersOf(config, model.name));
    this.#report = new ModelReport({ ...options, label: this.label });
    this.use = new ModelUse(this.label, config, deps);
  }

  get state(): SlotState {
    return this.#state;
  }

  /** Resolves after the load that is requested or runs has ended, successfully or not. */
  get settled(): Promise<void> {
    if (this.#state.callers === 'answered') return Promise.resolve();
    return new Promise((resolve) => this.#callers.push(resolve));
  }

  /** @returns The effects, which are carried out already except 'replace-host'. */
  apply(event: ModelEvent<SlotVersion, RemoteModel>): readonly SlotEffect[] {
    const { state, effects } = step(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#carryOut(effect);
    return effects;
  }

  /** @throws {OperatingError} 'model-watch-incompatible' if the watches of the model cannot use this version. */
  checkFits({ manifest }: StoredModel): void {
    const problems = this.#options.incompatibilities(manifest);
    if (problems.length > 0) throw registryFailure('model-watch-incompatible', problems.join('; '));
  }

  /**
   * A load failed. A version that runs keeps running.
   *
   * @param event 'restore-failed': the version that ran before its host was lost cannot be loaded again. The version of
   *   'refused' is undefined if not even its number is known.
   */
  fail(event: FailedLoad, error: unknown): void {
    this.#report.noteError(error);
    const isAbsent = this.#options.mayBeAbsent && errorCode(error) === 'model-absent';
    this.apply({ ...(isAbsent ? { kind: 'absent' } : event), reason: loadFailureText(error) });
    const { refusal } = this.#state;
    if (event.kind === 'restore-failed' || refusal === undefined) return;
    this.#options.deps.log.warn({ model: this.label, version: event.version, code: errorCode(error) }, refusal);
  }

  /**
   * The model took its host down.
   *
   * @param provider Provider that it was loading or running on.
   */
  noteCrash(provider: string | undefined, reason: string): void {
    const text = this.crashes.note(provider, reason, this.#options.deps.clock.monotonicMs());
    if (text === undefined) return;
    this.#report.noteQuarantine();
    this.apply({ kind: 'quarantined', reason: text });
  }

  /**
   * The active version is on a server: it is proved there, and what runs keeps running until then. A server that is
   * used or tried already is tried again if it is not proved.
   */
  connect(stored: StoredModel, make: (owner: RemoteOwner) => RemoteModel): void {
    const { run, candidate } = this.#state;
    if (run.kind === 'removed') return;
    const current = [candidate, run.kind === 'remote' ? run.server : undefined].find(
      (server) => server?.stored.version === stored.version && server.stored.sha256 === stored.sha256,
    );
    if (current === undefined) {
      const server = make(this.#owner());
      this.apply({ kind: 'server-offered', server });
      server.start();
    } else if (current.isProved) this.apply({ kind: 'unchanged' });
    else {
      this.apply({ kind: 'server-retried', server: current });
      current.retry();
    }
  }

  #owner(): RemoteOwner {
    return {
      label: this.label,
      hostName: this.hostName,
      use: this.use,
      isShown: (server) => (serverOf(this) ?? server) === server,
      onProved: (server, session) => {
        const loaded = slotVersion(this, server.stored, session, undefined);
        this.apply({ kind: 'server-proved', server, loaded });
      },
      onReport: (server, health, reason) => void this.apply({ kind: 'server-reported', server, health, reason }),
    };
  }

  #carryOut(effect: SlotEffect): void {
    const { refusal } = this.#state;
    switch (effect.kind) {
      case 'answer-callers':
        for (const resolve of this.#callers.splice(0)) resolve();
        return;
      case 'close-server':
        return effect.server.close();
      case 'leave-server':
        return effect.server.leave();
      case 'report-ready':
        return this.#reportReady(effect);
      case 'report-away':
        return this.#report.away(effect.state, effect.reason);
      case 'report-refusal':
        return this.#report.refuse(refusal);
      case 'report-server':
        return this.#report.trouble(
          effect.health === 'ok' ? undefined : { state: effect.health, reason: effect.reason },
          refusal,
        );
      case 'report-removed':
        this.use[Symbol.dispose]();
        return this.#report.remove();
      case 'unload-local':
      case 'reject-waiting':
      case 'retry-later':
      case 'retry-soon':
        return this.#options.onEffect(this, effect);
      case 'replace-host': // Left to the caller, who knows which run failed.
    }
  }

  #reportReady({ loaded, isNews }: Extract<SlotEffect, { readonly kind: 'report-ready' }>): void {
    const { stored, session, host } = loaded;
    this.use.begin(stored, session.loaded.batching);
    const isFault = this.crashes.givenUp.size > 0 && host !== undefined;
    this.#report.runs(stored, session, { isFault, isNews }, this.#state.refusal);
  }
}

/** @param host Undefined for a version on a server. */
export function slotVersion(
  slot: ModelSlot,
  stored: StoredModel,
  session: ReadySession,
  host: HostProcess | undefined,
): SlotVersion {
  const { provider, fallbacks, loaded } = session;
  const { last } = slot.state;
  return {
    stored,
    provider: provider.name,
    served: {
      manifest: stored.manifest,
      inputs: loaded.inputs,
      outputs: loaded.outputs,
      judgedBy: { model: stored.name, version: stored.version, provider: provider.name, fallbacks },
    },
    session,
    host,
    loadMs: last?.stored === stored ? Math.min(last.loadMs, loaded.loadMs) : loaded.loadMs,
  };
}

/** Returns the connection of a model that runs on a server. */
export function serverOf({ state: { run } }: Pick<ModelSlot, 'state'>): RemoteModel | undefined {
  return run.kind === 'remote' ? run.server : undefined;
}

/** Returns the model as it runs in this host; undefined if it does not. */
export function readyIn(
  { state: { run } }: Pick<ModelSlot, 'state'>,
  host: HostProcess | undefined,
): ServedModel | undefined {
  return run.kind === 'local' && host !== undefined && run.loaded.host === host ? run.loaded.served : undefined;
}
