import type { ConnectionState } from '../contracts/uplink.ts';
import { Backoff } from '../platform/backoff.ts';
import { sleep } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import { UplinkError } from './uplink-errors.ts';

export type ConnectionLoopOptions<Session> = {
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
  /**
   * Opens a connection, and calls `ready` once records can be sent. Must end soon after the signal is aborted.
   *
   * @returns Why the connection ended. An error is a reason too.
   */
  readonly connectOnce: (ready: (session: Session) => void, signal: AbortSignal) => Promise<string>;
  readonly deps: Deps;
};

type State<Session> =
  | { readonly type: 'disconnected'; readonly reason: string; readonly code?: string | undefined }
  | { readonly type: 'connected'; readonly session: Session };

/** Keeps one connection: opens a new one after each end, with growing waits. */
export class ConnectionLoop<Session> implements AsyncDisposable {
  readonly #options: ConnectionLoopOptions<Session>;
  readonly #stopping = new AbortController();
  #state: State<Session> = { type: 'disconnected', reason: 'Not connected yet' };
  #listener: ((state: ConnectionState) => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(options: ConnectionLoopOptions<Session>) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  onConnection(listener: (state: ConnectionState) => void): void {
    this.#listener = listener;
  }

  /** Session of the connection; undefined while there is none. */
  get session(): Session | undefined {
    return this.#state.type === 'connected' ? this.#state.session : undefined;
  }

  /** @throws {UplinkError} 'uplink-unreachable' (retry) There is no connection. */
  connected(): Session {
    if (this.#state.type === 'connected') return this.#state.session;
    throw new UplinkError('uplink-unreachable', this.#state.reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { reconnectMinMs, reconnectMaxMs, connectOnce, deps } = this.#options;
    const backoff = new Backoff({ firstMs: reconnectMinMs, maxMs: reconnectMaxMs, random: deps.random });
    const { signal } = this.#stopping;
    const ready = (session: Session) => {
      this.#become({ type: 'connected', session });
      backoff.reset();
    };
    while (!signal.aborted) {
      const end = await connectOnce(ready, signal).then((reason) => ({ reason }), failureOf);
      if (signal.aborted) return;
      this.#become({ type: 'disconnected', ...end });
      await sleep(deps.clock, backoff.nextMs(), signal);
    }
  }

  #become(state: State<Session>): void {
    this.#state = state;
    this.#listener?.(
      state.type === 'connected' ? { connected: true } : { connected: false, reason: state.reason, code: state.code },
    );
  }
}

function failureOf(error: unknown) {
  if (error instanceof OperatingError) return { reason: error.message, code: error.code };
  return { reason: `The connection failed unexpectedly: ${errorMessage(error)}` };
}

/**
 * Resolves as the answer, or rejects when the signal is aborted.
 * @throws {UplinkError} 'uplink-stopped' (retry).
 */
export function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new UplinkError('uplink-stopped', 'The uplink stopped before the server answered'));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
