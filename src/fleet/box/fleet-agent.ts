import type { ModelRegistry } from '../../contracts/model-registry.ts';
import { formatDuration } from '../../domain/duration.ts';
import type { ModelStanding } from '../../domain/rollout/rollout-plan.ts';
import type { ConfigurationEditor } from '../../http/configuration-editor.ts';
import { Backoff } from '../../platform/backoff.ts';
import { sleep } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import { greetingServer } from '../../uplinks/nats/greeting-server.ts';
import { WakeSignal } from '../../uplinks/wake-signal.ts';
import type { FleetConfig } from '../fleet-config.ts';
import { fleetFailure } from '../fleet-errors.ts';
import { desiredStateSchema, type ReportedState } from '../fleet-states.ts';
import { FleetJournal } from './fleet-journal.ts';
import type { FleetSession } from './fleet-session.ts';
import { type Progress, Reconciler } from './reconciler.ts';

/** Interval of the next look while a desired state is carried out. */
const SOON_MS = 5_000;
/** Interval of the next attempt of a desired state that cannot be carried out now. */
const RETRY_MS = 30_000;
/** Interval at which health and alarms of the box are looked at for a report. */
const FACTS_MS = 10_000;
/** Shortest interval, as a part of `fleet.interval`. */
const JITTER_MIN = 0.8;

/** State of the box for its report. */
export type BoxFacts = Omit<ReportedState, 'box' | 'time_ms' | 'generation' | 'state' | 'reason' | 'reason_code'>;

export type FleetAgentOptions = {
  /** Name of the box: `agent.id`. */
  readonly box: string;
  readonly config: FleetConfig;
  readonly outboxPath: string;
  readonly editor: ConfigurationEditor;
  readonly registry: ModelRegistry;
  readonly standing: (model: string) => Promise<ModelStanding>;
  readonly probationMs: (model: string) => number;
  readonly facts: () => Promise<BoxFacts>;
  /** Records the begin and the end of a generation. */
  readonly audit: (generation: number, detail: Readonly<Record<string, unknown>>) => void;
  readonly deps: Deps;
};

type Looked = Progress & { readonly generation: number };

/**
 * Connects a box with its fleet: reads the desired state on a nudge and at every interval, carries it out and reports. Without
 * a connection the box keeps what it has. Reports health `fleet`.
 */
export class FleetAgent implements AsyncDisposable {
  readonly #options: FleetAgentOptions;
  readonly #health: ComponentHealth;
  readonly #journal: FleetJournal;
  readonly #stopping = new AbortController();
  readonly #wake: WakeSignal;
  readonly #reconciler: Reconciler;
  #session: FleetSession | undefined;
  #isNudged = false;
  #running: Promise<void> | undefined;
  #reported: { readonly key: string; readonly stateKey: string; readonly atMs: number } | undefined;

  constructor(options: FleetAgentOptions) {
    const { deps, outboxPath } = options;
    this.#options = options;
    this.#health = deps.health.component('fleet');
    this.#journal = new FleetJournal(outboxPath, deps.log);
    this.#wake = new WakeSignal(deps.clock);
    this.#reconciler = new Reconciler({
      ...options,
      journal: this.#journal,
      file: (sha256) => this.#file(sha256),
      variables: { box: options.box, ...options.config.variables },
      clock: deps.clock,
      signal: this.#stopping.signal,
    });
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    this.#wake.set();
    await this.#running;
    this.#health.remove();
  }

  async #run(): Promise<void> {
    const { config, deps } = this.#options;
    const { signal } = this.#stopping;
    const backoff = new Backoff({ firstMs: config.reconnectMinMs, maxMs: config.reconnectMaxMs, random: deps.random });
    await this.#journal.read();
    while (!signal.aborted) {
      const lost = await this.#connectOnce(backoff).catch((error: unknown) => ({
        reason: errorMessage(error),
        code: error instanceof OperatingError ? error.code : 'fleet-unreachable',
      }));
      if (signal.aborted) return;
      this.#health.report('degraded', lost.reason, lost.code);
      await sleep(deps.clock, backoff.nextMs(), signal);
    }
  }

  /** @returns Why the connection ended. */
  async #connectOnce(backoff: Backoff): Promise<{ readonly reason: string; readonly code: string }> {
    const { clock } = this.#options.deps;
    const session = await this.#open();
    this.#session = session;
    this.#reported = undefined;
    try {
      const ended = new AbortController();
      const lost = session.ended().finally(() => {
        ended.abort();
        this.#wake.set();
      });
      backoff.reset();
      let looked: Looked = { generation: 0, state: 'none', reason: '' };
      let nextLookMs = -Infinity;
      while (!ended.signal.aborted && !this.#stopping.signal.aborted) {
        if (this.#isNudged || clock.monotonicMs() >= nextLookMs) {
          this.#isNudged = false;
          looked = await unlessAborted(this.#look(session), this.#stopping.signal);
          nextLookMs = clock.monotonicMs() + this.#waitMs(looked);
        }
        await this.#report(session, looked);
        await this.#wake.wait(Math.min(FACTS_MS, Math.max(0, nextLookMs - clock.monotonicMs())));
      }
      await session[Symbol.asyncDispose]();
      return { reason: `The connection to the fleet ended: ${await lost}`, code: 'fleet-unreachable' };
    } finally {
      await session[Symbol.asyncDispose]();
    }
  }

  async #open(): Promise<FleetSession> {
    const { box, config, deps } = this.#options;
    const { signal } = this.#stopping;
    // Loads the library, which most agents do not need.
    const { FleetSession } = await import('./fleet-session.ts');
    const urls = [config.url, ...config.cluster];
    const server = await greetingServer(urls, config.connectTimeoutMs, deps.clock, signal).catch((error: unknown) => {
      throw fleetFailure('fleet-unreachable', errorMessage(error), { cause: error });
    });
    const onNudge = () => {
      this.#isNudged = true;
      this.#wake.set();
    };
    const opening = FleetSession.open(box, server, config, onNudge);
    try {
      return await unlessAborted(opening, signal);
    } catch (error) {
      if (signal.aborted) void opening.then((late) => late[Symbol.asyncDispose]()).catch(() => undefined);
      throw error;
    }
  }

  /** Reads the desired state and does what can be done now. */
  async #look(session: FleetSession): Promise<Looked> {
    const stored = await session.desired();
    if (stored === undefined) return { generation: 0, state: 'none', reason: '' };
    const parsed = desiredStateSchema.safeParse(stored);
    if (!parsed.success) {
      const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
      return {
        generation: 0,
        state: 'failed',
        reason: `The desired state is not valid: ${problems}`,
        code: 'fleet-state-invalid',
      };
    }
    const { generation } = parsed.data;
    return { generation, ...(await this.#reconciler.reconcile(parsed.data)) };
  }

  async *#file(sha256: string): AsyncGenerator<Uint8Array> {
    const { config, deps } = this.#options;
    const session = this.#session;
    if (session === undefined) throw fleetFailure('fleet-unreachable', 'Not connected yet');
    const { downloadTimeoutMs } = config;
    // A read that stalls ends with its connection.
    const timer = deps.clock.setTimer(() => {
      deps.log.warn({ file: sha256 }, `The fleet did not send the file within ${formatDuration(downloadTimeoutMs)}.`);
      void session[Symbol.asyncDispose]();
    }, downloadTimeoutMs);
    try {
      yield* session.file(sha256);
    } finally {
      timer.cancel();
    }
  }

  /** Reports at each interval, and before if the state, the health or the alarms changed. */
  async #report(session: FleetSession, { generation, state, reason, code }: Looked): Promise<void> {
    const { box, facts, config, deps } = this.#options;
    const before = this.#reported;
    const stateKey = JSON.stringify([generation, state, reason]);
    if (stateKey !== before?.stateKey) {
      const isBad = state === 'failed' || state === 'waiting' || state === 'deviates';
      this.#health.report(isBad ? 'degraded' : 'ok', isBad ? reason : '', isBad ? code : undefined);
      deps.log[isBad ? 'warn' : 'info']({ generation, state, reason }, 'State of the fleet on this box.');
    }
    const present = await facts();
    const key = JSON.stringify([stateKey, present.health.status, present.alarms]);
    const isDue = before === undefined || deps.clock.monotonicMs() - before.atMs >= config.intervalMs * JITTER_MIN;
    if (key === before?.key && !isDue) return;
    await session.report({
      box,
      time_ms: Math.round(deps.clock.nowMs()),
      generation,
      state,
      reason,
      reason_code: code ?? null,
      ...present,
    });
    this.#reported = { key, stateKey, atMs: deps.clock.monotonicMs() };
  }

  #waitMs({ state }: Looked): number {
    const { config, deps } = this.#options;
    // Boxes that lost the fleet at the same time must not read at the same time for ever.
    const intervalMs = config.intervalMs * (JITTER_MIN + 2 * (1 - JITTER_MIN) * deps.random());
    if (state === 'applying' || state === 'probation') return Math.min(SOON_MS, intervalMs);
    return state === 'waiting' ? Math.min(RETRY_MS, intervalMs) : intervalMs;
  }
}

/** Rejects when the signal aborts. The work goes on, and its error is dropped. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(new Error('The agent stops'));
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  return Promise.race([work, aborted.promise]).finally(() => signal.removeEventListener('abort', abort));
}
