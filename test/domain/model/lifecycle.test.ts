import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  hasVersion,
  type LoadedVersion,
  type ModelEffect,
  type ModelEvent,
  type ModelState,
  newModelState,
  type ServerVersion,
  step,
} from '../../../src/domain/model/lifecycle.ts';

type State = ModelState<LoadedVersion, ServerVersion>;
type Event = ModelEvent<LoadedVersion, ServerVersion>;
type Effect = ModelEffect<LoadedVersion, ServerVersion>;

const stored = (version: number) => ({ version });
const local = (version: number, provider = 'cpu'): LoadedVersion => ({ stored: stored(version), provider });

/** Sends events in order; returns the last state and all effects. */
function play(events: readonly Event[]): { readonly state: State; readonly effects: readonly Effect[] } {
  let state: State = newModelState;
  const effects: Effect[] = [];
  for (const event of events) {
    const next = step(state, event);
    state = next.state;
    effects.push(...next.effects);
  }
  return { state, effects };
}

const kinds = (effects: readonly Effect[]) => effects.map(({ kind }) => kind);

const begun: Event = { kind: 'load-begun' };
const lost: Event = { kind: 'host-lost', reason: 'signal SIGKILL' };
const requestedAgain: Event = { kind: 'load-requested', isAwaited: true };
const refused: Event = { kind: 'refused', version: 2, reason: 'NaN' };

test('a version that is refused leaves the one that runs in place, and says so', () => {
  const { state, effects } = play([begun, { kind: 'loaded', loaded: local(1) }, requestedAgain, begun, refused]);
  expect(state.run).toMatchObject({ kind: 'local', loaded: { stored: { version: 1 } } });
  expect(state.refusal).toBe('version 1 keeps running; version 2, now active, did not take over: NaN');
  expect(kinds(effects)).not.toContain('reject-waiting');
});

test('the first version that cannot be loaded fails the model, rejects what waits and is retried', () => {
  const { state, effects } = play([begun, refused]);
  expect(state.run).toEqual({ kind: 'none', state: 'failed', reason: 'NaN' });
  expect(kinds(effects)).toEqual(['report-away', 'reject-waiting', 'retry-later', 'answer-callers']);
});

test('a version that returns after its host ended keeps the refusal of the active one', () => {
  const one = local(1);
  const { state } = play([begun, { kind: 'loaded', loaded: one }, requestedAgain, begun, refused, lost]);
  expect(state.run.kind).toBe('lost');
  expect(step(state, { kind: 'restored', loaded: one }).state).toMatchObject({
    run: { kind: 'local' },
    refusal: expect.stringContaining('version 2'),
  });
});

test('three failed runs in a row replace the host of a GPU, and never the host of a CPU', () => {
  const failed: Event = { kind: 'run-ended', succeeded: false };
  const ok: Event = { kind: 'run-ended', succeeded: true };
  const onGpu = play([begun, { kind: 'loaded', loaded: local(1, 'cuda') }, failed, failed, ok, failed, failed]);
  expect(kinds(onGpu.effects)).not.toContain('replace-host');
  expect(kinds(step(onGpu.state, failed).effects)).toEqual(['replace-host']);
  const onCpu = play([begun, { kind: 'loaded', loaded: local(1) }, failed, failed, failed, failed]);
  expect(kinds(onCpu.effects)).not.toContain('replace-host');
});

test('a server takes over from the local version only after its proof; the local session is unloaded then', () => {
  const server: ServerVersion = { stored: stored(2) };
  const before = play([
    begun,
    { kind: 'loaded', loaded: local(1) },
    requestedAgain,
    begun,
    { kind: 'server-offered', server },
    { kind: 'server-reported', server, health: 'failed', reason: 'refused the connection' },
  ]);
  expect(before.state.run.kind).toBe('local');
  const proved = step(before.state, { kind: 'server-proved', server, loaded: local(2, 'remote') });
  expect(proved.state.run.kind).toBe('remote');
  expect(kinds(proved.effects)).toEqual(['report-ready', 'unload-local']);
});

/** Random but possible histories: the host begins a load only on request, and ends what it began. */
class Driver {
  state: State = newModelState;
  /** Rules that a step broke. */
  readonly breaches: string[] = [];
  /** Whether the host is loading the active version. */
  isLoading = false;
  #version = 0;
  readonly #servers: ServerVersion[] = [];
  readonly #ended: ServerVersion[] = [];
  #calls = 1;
  #answers = 0;

  /** One event that can happen now. */
  act(choice: number): void {
    const events = this.#possible();
    const event = events[choice % events.length];
    if (event !== undefined) this.send(event);
  }

  send(event: Event): void {
    const before = this.state;
    const { state, effects } = step(before, event);
    this.state = state;
    if (event.kind === 'load-begun') this.isLoading = true;
    if (loadEnds.has(event.kind) || event.kind === 'removed') this.isLoading = false;
    if (event.kind === 'server-offered') this.#servers.push(event.server);
    if (event.kind === 'load-requested' && event.isAwaited && before.callers === 'answered') this.#calls += 1;
    for (const effect of effects) this.#note(effect);
    this.#check(before, event, effects);
  }

  /** Loads the requested models and reports each server, until nothing is left to do. */
  finish(): void {
    for (let round = 0; round < 10 && this.state.callers === 'waiting'; round += 1) {
      if (this.isLoading) this.send({ kind: 'refused', version: undefined, reason: 'end' });
      else if (this.state.load === 'requested') this.send(begun);
      else if (
        this.state.run.kind === 'none' &&
        this.state.run.state === 'loading' &&
        this.state.candidate === undefined
      )
        this.send(begun);
      else
        this.#servers.forEach((server) =>
          this.send({ kind: 'server-reported', server, health: 'failed', reason: 'x' }),
        );
    }
    this.#claim(this.state.callers === 'answered', 'callers wait without end');
    this.#claim(this.#answers === this.#calls, `${this.#calls} calls, ${this.#answers} answers`);
  }

  #claim(holds: boolean, breach: string): void {
    if (!holds) this.breaches.push(breach);
  }

  #note(effect: Effect): void {
    if (effect.kind === 'answer-callers') this.#answers += 1;
    if (effect.kind === 'close-server' || effect.kind === 'leave-server') this.#ended.push(effect.server);
  }

  #check(before: State, event: Event, effects: readonly Effect[]): void {
    const { state } = this;
    const { kind } = event;
    const isRunning = state.load === 'running' || state.load === 'running-repeat';
    // Only 'requested' begins a load, and nothing leads there while one runs.
    this.#claim(isRunning === this.isLoading, `${kind}: more than one load at a time`);
    if (loadEvents.has(kind) && hasVersion(before)) this.#claim(hasVersion(state), `${kind}: a ready model is lost`);
    if (failures.has(kind) && hasVersion(before)) this.#claim(state.run === before.run, `${kind}: what runs changes`);
    const isAway = state.run.kind === 'none' && state.run.state !== 'loading' && state.run !== before.run;
    this.#claim(kinds(effects).includes('reject-waiting') === isAway, `${kind}: waiting runs are not rejected once`);
    this.#claim(state.refusal === undefined || hasVersion(state), `${kind}: a refusal while nothing runs`);
    const inUse = new Set([state.candidate, state.run.kind === 'remote' ? state.run.server : undefined]);
    for (const server of this.#servers)
      this.#claim(
        this.#ended.filter((ended) => ended === server).length === (inUse.has(server) ? 0 : 1),
        `${kind}: a connection is neither in use nor ended once`,
      );
  }

  #possible(): readonly Event[] {
    const { run, load, candidate } = this.state;
    const server: ServerVersion = { stored: stored((this.#version += 1)) };
    const next = local(this.#version, this.#version % 2 === 0 ? 'cpu' : 'cuda');
    const used = run.kind === 'remote' ? run.server : undefined;
    const known = run.kind === 'local' || run.kind === 'lost' ? run.loaded : undefined;
    const ofLoad: readonly Event[] = [
      { kind: 'loaded', loaded: next },
      { kind: 'refused', version: this.#version, reason: 'x' },
      { kind: 'version-found', version: this.#version, isRemote: false },
      { kind: 'unchanged' },
      { kind: 'load-crashed' },
      { kind: 'load-abandoned' },
      { kind: 'load-superseded' },
      { kind: 'server-offered', server },
      ...[candidate, used].flatMap((other): readonly Event[] =>
        other === undefined ? [] : [{ kind: 'server-retried', server: other }],
      ),
    ];
    return [
      requestedAgain,
      { kind: 'load-requested', isAwaited: false },
      lost,
      { kind: 'run-ended', succeeded: false },
      ...(load === 'requested' && !this.isLoading ? [begun, begun] : []),
      ...(this.isLoading ? ofLoad : []),
      ...(known === undefined ? [] : [{ kind: 'restored', loaded: known } as const]),
      ...(run.kind === 'lost' ? [{ kind: 'restore-failed', reason: 'x' } as const] : []),
      ...(used === undefined ? [{ kind: 'quarantined', reason: 'x' } as const] : []),
      ...this.#servers.flatMap((one): readonly Event[] => [
        { kind: 'server-proved', server: one, loaded: { stored: one.stored, provider: 'remote' } },
        { kind: 'server-reported', server: one, health: 'degraded', reason: 'x' },
      ]),
    ];
  }
}

const failures: ReadonlySet<Event['kind']> = new Set(['refused', 'load-crashed', 'load-abandoned']);
const loadEnds: ReadonlySet<Event['kind']> = new Set([
  ...failures,
  'loaded',
  'unchanged',
  'load-superseded',
  'server-offered',
  'server-retried',
]);
const loadEvents: ReadonlySet<Event['kind']> = new Set([...loadEnds, 'load-begun', 'version-found']);

const choices = fc.array(fc.nat(), { maxLength: 60 });

test('no history of events loses a ready model to a failed load, loads twice at a time or forgets a caller', () => {
  fc.assert(
    fc.property(choices, (acts) => {
      const driver = new Driver();
      for (const choice of acts) driver.act(choice);
      driver.finish();
      expect(driver.breaches).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});

test('a model that is removed answers its callers, ends its connections and ignores what comes later', () => {
  fc.assert(
    fc.property(choices, (acts) => {
      const driver = new Driver();
      for (const choice of acts) driver.act(choice);
      driver.send({ kind: 'removed' });
      expect(driver.state.callers).toBe('answered');
      const { state } = driver;
      driver.send(requestedAgain);
      driver.send({ kind: 'loaded', loaded: local(9) });
      expect(driver.state).toBe(state);
    }),
  );
});
