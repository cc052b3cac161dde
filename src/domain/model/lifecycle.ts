/*
 * Lifecycle of one model in one inference host, as a pure state machine: the caller sends events and carries out the
 * effects in their order.
 *
 * Two things change independently: what runs (`run`), and the load of the active version (`load`). A load that fails
 * therefore never takes away what runs.
 */

/** A version that was loaded and proved. `stored` is compared by identity: a file that was read again counts as another. */
export type LoadedVersion = {
  readonly stored: { readonly version: number };
  readonly provider: string;
};

/** A connection to a version that runs on a server. Compared by identity. */
export type ServerVersion = { readonly stored: { readonly version: number } };

type ModelRun<L, S> =
  | { readonly kind: 'none'; readonly state: 'loading' | 'absent' | 'failed' | 'quarantined'; readonly reason: string }
  /** Ready in the inference host. `failedRuns` counts runs that failed in a row on a GPU. */
  | { readonly kind: 'local'; readonly loaded: L; readonly failedRuns: number }
  /** The inference host ended. The next one loads the same version again. */
  | { readonly kind: 'lost'; readonly loaded: L; readonly reason: string }
  /** On a server; `loaded` is undefined until the server was proved for the first time. */
  | { readonly kind: 'remote'; readonly server: S; readonly loaded: L | undefined; readonly reason: string }
  | { readonly kind: 'removed' };

/** `running-repeat`: requested again while it runs, so that its result is not the last word. */
type LoadState = 'idle' | 'requested' | 'running' | 'running-repeat';

export type ModelState<L extends LoadedVersion, S extends ServerVersion> = {
  readonly run: ModelRun<L, S>;
  /** Load of the version that is active in the model directory. */
  readonly load: LoadState;
  /** Version on a server that takes over once it is proved. */
  readonly candidate: S | undefined;
  /** Version that was ready last, also after it failed. */
  readonly last: L | undefined;
  readonly attempted: number | undefined;
  /** Why the active version does not run while another one does. */
  readonly refusal: string | undefined;
  /** True if callers wait for the result of a load. */
  readonly callers: 'waiting' | 'answered';
};

export type ModelEvent<L, S> =
  /** `isAwaited`: the caller waits for the result; false for a retry after a pause. */
  | { readonly kind: 'load-requested'; readonly isAwaited: boolean }
  | { readonly kind: 'load-begun' }
  /** The active version, in the model directory. */
  | { readonly kind: 'version-found'; readonly version: number; readonly isRemote: boolean }
  /** The active version was loaded and proved. */
  | { readonly kind: 'loaded'; readonly loaded: L }
  /** The version that runs, or ran, was loaded as it was into another host. */
  | { readonly kind: 'restored'; readonly loaded: L }
  | { readonly kind: 'restore-failed'; readonly reason: string }
  /** The active version is the one that runs. */
  | { readonly kind: 'unchanged' }
  /** The active version cannot be used. `version` is undefined if not even its number is known. */
  | { readonly kind: 'refused'; readonly version: number | undefined; readonly reason: string }
  /** No version is active, and that is no fault: the watches of the model are learning. */
  | { readonly kind: 'absent'; readonly reason: string }
  /** The load took its host down, but may be tried again. */
  | { readonly kind: 'load-crashed' }
  /** The load had to be given up through no fault of the version. */
  | { readonly kind: 'load-abandoned' }
  /** The load ended, but its result is not needed: a server took over. */
  | { readonly kind: 'load-superseded' }
  /** It took too many hosts down. A load that did so ends with 'load-crashed' before. */
  | { readonly kind: 'quarantined'; readonly reason: string }
  | { readonly kind: 'host-lost'; readonly reason: string }
  | { readonly kind: 'run-ended'; readonly succeeded: boolean }
  /** The active version is on this server. */
  | { readonly kind: 'server-offered'; readonly server: S }
  /** The active version is on the server that is used or tried already, which reports when it has tried again. */
  | { readonly kind: 'server-retried'; readonly server: S }
  | { readonly kind: 'server-proved'; readonly server: S; readonly loaded: L }
  | {
      readonly kind: 'server-reported';
      readonly server: S;
      readonly health: 'ok' | 'degraded' | 'failed';
      readonly reason: string;
    }
  | { readonly kind: 'removed' };

export type ModelEffect<L, S> =
  | { readonly kind: 'answer-callers' }
  /** Ends the connection and every run on it. */
  | { readonly kind: 'close-server'; readonly server: S }
  /** Ends the connection after the runs that it has accepted. */
  | { readonly kind: 'leave-server'; readonly server: S }
  /** The version in the inference host is replaced by one on a server: its waiting runs follow, its session can go. */
  | { readonly kind: 'unload-local'; readonly loaded: L }
  /** Nothing can run the windows and requests that wait. */
  | { readonly kind: 'reject-waiting' }
  /** Try the load again after the configured pause. */
  | { readonly kind: 'retry-later' }
  /** Try the load again soon: it took a fresh host down, but not often enough for quarantine. */
  | { readonly kind: 'retry-soon' }
  /** The GPU looks lost and does not return within the process. */
  | { readonly kind: 'replace-host' }
  | { readonly kind: 'report-ready'; readonly loaded: L; readonly isNews: boolean }
  | { readonly kind: 'report-away'; readonly state: 'ok' | 'degraded' | 'failed'; readonly reason: string }
  | { readonly kind: 'report-refusal' }
  | { readonly kind: 'report-removed' }
  | { readonly kind: 'report-server'; readonly health: 'ok' | 'degraded' | 'failed'; readonly reason: string };

export type ModelStep<L extends LoadedVersion, S extends ServerVersion> = {
  readonly state: ModelState<L, S>;
  readonly effects: readonly ModelEffect<L, S>[];
};

/** Runs that may fail in a row on a GPU before its host is replaced. */
const GPU_FAILURES_MAX = 3;

/** State of a model that was just added: its first load is requested, and callers may wait for it. */
export const newModelState: ModelState<never, never> = {
  run: { kind: 'none', state: 'loading', reason: 'not loaded yet' },
  load: 'requested',
  candidate: undefined,
  last: undefined,
  attempted: undefined,
  refusal: undefined,
  callers: 'waiting',
};

/** Returns whether a version runs, or runs again as soon as its host is back: then a refused load changes nothing. */
export function hasVersion({ run }: ModelState<LoadedVersion, ServerVersion>): boolean {
  return run.kind === 'local' || run.kind === 'lost' || run.kind === 'remote';
}

/** Returns the version that the inference host runs, or loads again after its end. */
export function localVersion<L extends LoadedVersion, S extends ServerVersion>({
  run,
}: ModelState<L, S>): L | undefined {
  return run.kind === 'local' || run.kind === 'lost' ? run.loaded : undefined;
}

/** Returns the state after an event, and what the caller must do, in this order. */
export function step<L extends LoadedVersion, S extends ServerVersion>(
  state: ModelState<L, S>,
  event: ModelEvent<L, S>,
): ModelStep<L, S> {
  // The versions of the result are those of the state and the event.
  return stepOf(state, event) as ModelStep<L, S>;
}

type State = ModelState<LoadedVersion, ServerVersion>;
type Step = ModelStep<LoadedVersion, ServerVersion>;
type Event<Kind = unknown> = Extract<ModelEvent<LoadedVersion, ServerVersion>, { readonly kind: Kind }>;
type Effect = ModelEffect<LoadedVersion, ServerVersion>;

function stepOf(state: State, event: Event): Step {
  if (state.run.kind === 'removed') return noEffects(state);
  switch (event.kind) {
    case 'load-requested':
      return noEffects(requested(state, event.isAwaited));
    case 'load-begun':
      return noEffects({ ...state, run: loading(state.run), load: 'running' });
    case 'version-found':
      return versionFound(state, event);
    case 'loaded':
      return runsLocally(loadEnded(state), event.loaded);
    case 'restored':
      return runsLocally(state, event.loaded);
    case 'restore-failed':
      return away(state, 'failed', event.reason);
    case 'unchanged':
      return accepted(loadEnded(state));
    case 'refused':
      return refused(loadEnded(state), event);
    case 'absent':
      return hasVersion(state)
        ? refused(loadEnded(state), { kind: 'refused', version: undefined, reason: event.reason })
        : away(loadEnded(state), 'absent', event.reason);
    case 'load-crashed':
      // The callers of a model that is still loading wait for the next try, or for quarantine.
      return state.run.kind === 'none' && state.run.state === 'loading'
        ? extended(noEffects(loadEnded(state)), {}, { kind: 'retry-soon' })
        : answered(noEffects(loadEnded(state)));
    case 'load-abandoned':
      return noEffects({ ...state, load: 'requested' });
    case 'load-superseded':
      return answered(noEffects(loadEnded(state)));
    case 'quarantined':
      return state.run.kind === 'remote' ? noEffects(state) : away(state, 'quarantined', event.reason);
    case 'host-lost':
      return hostLost(state, event.reason);
    case 'run-ended':
      return runEnded(state, event.succeeded);
    case 'server-offered':
      return extended(withoutCandidate(loadEnded(state)), { candidate: event.server });
    case 'server-retried':
      return serverRetried(loadEnded(state), event.server);
    case 'server-proved':
      return serverProved(state, event);
    case 'server-reported':
      return serverReported(state, event);
    case 'removed':
      return removed(state);
  }
}

function requested(state: State, isAwaited: boolean): State {
  const isRunning = state.load === 'running' || state.load === 'running-repeat';
  return {
    ...state,
    run: loading(state.run),
    load: isRunning ? 'running-repeat' : 'requested',
    callers: isAwaited ? 'waiting' : state.callers,
  };
}

/** A model that failed or is in quarantine gets another try; its health stays until that has ended. */
function loading(run: State['run']): State['run'] {
  return run.kind === 'none' ? { ...run, state: 'loading' } : run;
}

function loadEnded(state: State): State {
  switch (state.load) {
    case 'running':
      return { ...state, load: 'idle' };
    case 'running-repeat':
      return { ...state, load: 'requested' };
    case 'idle':
    case 'requested':
      return state;
  }
}

/** A step without effects. */
function noEffects(state: State): Step {
  return { state, effects: [] };
}

/** Adds changes and effects to a step. */
function extended(first: Step, change: Partial<State>, ...effects: readonly Effect[]): Step {
  return { state: { ...first.state, ...change }, effects: [...first.effects, ...effects] };
}

/** Answers the callers that wait, unless another load is still to come. */
function answered(first: Step): Step {
  const { load, callers } = first.state;
  if (load !== 'idle' || callers === 'answered') return first;
  return extended(first, { callers: 'answered' }, { kind: 'answer-callers' });
}

function withoutCandidate(state: State): Step {
  const { candidate } = state;
  if (candidate === undefined) return noEffects(state);
  return extended(noEffects(state), { candidate: undefined }, { kind: 'close-server', server: candidate });
}

/** A local version displaces a candidate, which is not active any more. */
function versionFound(before: State, { version, isRemote }: Event<'version-found'>): Step {
  return extended(isRemote ? noEffects(before) : withoutCandidate(before), { attempted: version });
}

function runsLocally(before: State, loaded: LoadedVersion): Step {
  const { run, last, refusal } = before;
  const isOther = loaded.stored !== last?.stored;
  // A candidate that is to replace the version that is back now still does.
  const next = isOther ? withoutCandidate(before) : noEffects(before);
  const left: readonly Effect[] = run.kind === 'remote' ? [{ kind: 'leave-server', server: run.server }] : [];
  const isNews = isOther || run.kind !== 'local' || run.loaded.provider !== loaded.provider;
  const change: Partial<State> = {
    run: { kind: 'local', loaded, failedRuns: 0 },
    last: loaded,
    refusal: isOther ? undefined : refusal,
  };
  return answered(extended(next, change, ...left, { kind: 'report-ready', loaded, isNews }));
}

function accepted(before: State): Step {
  return answered(extended(withoutCandidate(before), { refusal: undefined }, { kind: 'report-refusal' }));
}

function refused(before: State, { version, reason }: Event<'refused'>): Step {
  if (!hasVersion(before)) return away(before, 'failed', reason);
  const refusal = refusalText(before, version, reason);
  return answered(extended(withoutCandidate(before), { refusal }, { kind: 'report-refusal' }, { kind: 'retry-later' }));
}

function refusalText({ run, last }: State, version: number | undefined, reason: string): string {
  const running = run.kind === 'remote' ? run.server.stored.version : (last?.stored.version ?? 0);
  const refusedVersion = version === undefined ? 'the active version' : `version ${version}, now active,`;
  return `version ${running} keeps running; ${refusedVersion} did not take over: ${reason}`;
}

/** The model cannot run. */
function away(before: State, state: 'absent' | 'failed' | 'quarantined', reason: string): Step {
  // If it is the earlier version that fails, the candidate that is to replace it is still proved.
  const next = localVersion(before) === undefined ? withoutCandidate(before) : noEffects(before);
  const text = state === 'quarantined' ? `quarantined: ${reason}` : reason;
  const report: Effect = { kind: 'report-away', state: state === 'absent' ? 'ok' : 'failed', reason: text };
  const run: State['run'] = { kind: 'none', state, reason };
  return answered(
    extended(next, { run, refusal: undefined }, report, { kind: 'reject-waiting' }, { kind: 'retry-later' }),
  );
}

function hostLost(state: State, reason: string): Step {
  const { run } = state;
  const report: Effect = { kind: 'report-away', state: 'degraded', reason };
  if (run.kind === 'local' || run.kind === 'lost')
    return extended(noEffects(state), { run: { kind: 'lost', loaded: run.loaded, reason } }, report);
  const isLoading = run.kind === 'none' && run.state === 'loading';
  return isLoading ? extended(noEffects(state), { run: { ...run, reason } }, report) : noEffects(state);
}

function runEnded(state: State, succeeded: boolean): Step {
  const { run } = state;
  if (run.kind !== 'local') return noEffects(state);
  const failedRuns = succeeded || run.loaded.provider === 'cpu' ? 0 : run.failedRuns + 1;
  return failedRuns < GPU_FAILURES_MAX
    ? noEffects({ ...state, run: { ...run, failedRuns } })
    : extended(noEffects(state), { run: { ...run, failedRuns: 0 } }, { kind: 'replace-host' });
}

function serverRetried(state: State, server: ServerVersion): Step {
  if (server === state.candidate) return noEffects(state);
  return extended(withoutCandidate(state), { refusal: undefined }, { kind: 'report-refusal' });
}

function serverProved(before: State, { server, loaded }: Event<'server-proved'>): Step {
  const { run, last, candidate, refusal } = before;
  const isCurrent = run.kind === 'remote' && run.server === server;
  if (!isCurrent && server !== candidate) return noEffects(before);
  const isOther = loaded.stored !== last?.stored;
  const moved = isCurrent ? before : { ...before, candidate: undefined };
  const left: readonly Effect[] =
    run.kind === 'remote' && !isCurrent ? [{ kind: 'leave-server', server: run.server }] : [];
  const local = localVersion(before);
  const change: Partial<State> = {
    run: { kind: 'remote', server, loaded, reason: '' },
    last: loaded,
    refusal: isOther ? undefined : refusal,
  };
  const proved = extended(isOther ? withoutCandidate(moved) : noEffects(moved), change, ...left, {
    kind: 'report-ready',
    loaded,
    isNews: true,
  });
  return answered(local === undefined ? proved : extended(proved, {}, { kind: 'unload-local', loaded: local }));
}

function serverReported(state: State, { server, health, reason }: Event<'server-reported'>): Step {
  const { run, candidate } = state;
  const report: Effect = { kind: 'report-server', health, reason };
  if (run.kind === 'remote' && run.server === server)
    return answered(extended(noEffects(state), { run: { ...run, reason } }, report));
  if (server !== candidate) return noEffects(state);
  const refusal = refusalText(state, server.stored.version, reason);
  if (hasVersion(state)) return answered(extended(noEffects(state), { refusal }, { kind: 'report-refusal' }));
  // Nothing runs that this could displace.
  const used: State['run'] = { kind: 'remote', server, loaded: undefined, reason };
  return answered(extended(noEffects(state), { run: used, candidate: undefined }, report));
}

function removed(before: State): Step {
  const { run } = before;
  const closed: readonly Effect[] = run.kind === 'remote' ? [{ kind: 'close-server', server: run.server }] : [];
  const change: Partial<State> = { run: { kind: 'removed' }, load: 'idle' };
  return answered(extended(withoutCandidate(before), change, ...closed, { kind: 'report-removed' }));
}
