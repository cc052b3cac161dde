import type { FastifyInstance } from 'fastify';
import type { Deps } from '../platform/deps.ts';
import { apiMetrics } from './api-metrics.ts';
import { apiFailure } from './api-errors.ts';

/** Requests that start in one turn of the event loop, with about 50 µs of work each. */
const TAKEN_UP_MAX = 4;
/** No further request starts after this part of a turn: a large request alone may need 1 ms. */
const TURN_MS_MAX = 0.25;
/** Requests that may wait for a turn: those of all connections, and those that clients pipeline. */
const WAITING_MAX = 1_000;

/**
 * Spreads requests over turns of the event loop: a few start in each turn, the others wait in order. Node would handle all that
 * have arrived in one turn. A scan needs about a dozen turns until its verdict is published (reads, model run, commit), and each
 * of them would wait behind all clients.
 */
export class TurnBudget {
  readonly #deps: Deps;
  readonly #metrics;
  /** Requests started in this turn, the first at `#startedMs`. */
  #takenUp = 0;
  #startedMs = 0;
  /** In order of arrival. */
  readonly #waiting: (() => void)[] = [];
  /** Pending immediates; each starts one request if its turn has room. */
  #doors = 0;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#metrics = deps.metrics.of(apiMetrics);
  }

  /** Delays each complete request until its turn. If too many wait, a further request is refused and may be retried. */
  limit(app: FastifyInstance): void {
    app.addHook('preHandler', (_request, _reply, done) => {
      if (this.#waiting.length < WAITING_MAX) this.#enter(done);
      else done(apiFailure('http-busy', `${WAITING_MAX} requests are waiting already; try again later`));
    });
  }

  #enter(callback: () => void): void {
    if (this.#waiting.length === 0 && this.#takeUp()) return callback();
    this.#waiting.push(callback);
    this.#noteWaiting();
    this.#openDoor();
  }

  /** Node runs immediates one after another, each with its microtasks; an immediate set during that runs in the next turn. */
  #openDoor(): void {
    if (this.#doors === TAKEN_UP_MAX) return;
    this.#doors += 1;
    setImmediate(() => {
      this.#doors -= 1;
      const callback = this.#waiting.length > 0 && this.#takeUp() ? this.#waiting.shift() : undefined;
      if (this.#waiting.length > 0) this.#openDoor();
      this.#noteWaiting();
      callback?.();
    });
  }

  #takeUp(): boolean {
    const nowMs = this.#deps.clock.monotonicMs();
    if (this.#takenUp === 0) {
      this.#startedMs = nowMs;
      // Runs before the immediates of the next turn, which are set later.
      setImmediate(() => (this.#takenUp = 0));
    }
    if (this.#takenUp === TAKEN_UP_MAX || nowMs - this.#startedMs >= TURN_MS_MAX) return false;
    this.#takenUp += 1;
    return true;
  }

  #noteWaiting(): void {
    this.#metrics.andon_http_waiting_requests.set(this.#waiting.length);
  }
}
