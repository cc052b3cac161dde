import type { FastifyInstance } from 'fastify';
import type { Deps } from '../platform/deps.ts';
import { OperatingError } from '../platform/errors.ts';
import { apiMetrics } from './api-metrics.ts';

/** Requests that are taken up in one turn of the event loop; some 50 µs of work each. */
const TAKEN_UP_MAX = 4;
/** Once so much of a turn is over no further one is taken up: a large request may take a millisecond by itself. */
const TURN_MS_MAX = 0.25;
/** Requests that may wait for a turn: every connection's, and those that clients send ahead of an answer. */
const WAITING_MAX = 1_000;

/**
 * Spreads the work of requests over turns of the event loop: a few are taken up in each, the others wait for the next ones, in
 * their order. Node would handle all that has arrived in one turn, and a scan goes through a dozen turns until its
 * verdict is told (its reads, the model's run, the commit), each of which would be behind as many clients as there are.
 */
export class TurnBudget {
  readonly #deps: Deps;
  readonly #metrics;
  /** In this turn, of which the first was taken up at `#startedMs`. */
  #takenUp = 0;
  #startedMs = 0;
  /** In the order in which they came. */
  readonly #waiting: (() => void)[] = [];
  /** Immediates that will each let one in, if there is room in their turn. */
  #doors = 0;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#metrics = deps.metrics.of(apiMetrics);
  }

  /** Holds every request back once it has arrived, until its turn; one more than may wait is told to come again. */
  limit(app: FastifyInstance): void {
    app.addHook('preHandler', (_request, _reply, done) => {
      if (this.#waiting.length < WAITING_MAX) this.#enter(done);
      else done(new OperatingError('http-busy', 'retry', `${WAITING_MAX} requests wait for the agent already`));
    });
  }

  #enter(callback: () => void): void {
    if (this.#waiting.length === 0 && this.#takeUp()) return callback();
    this.#waiting.push(callback);
    this.#noteWaiting();
    this.#openDoor();
  }

  /** Node runs one immediate after another, with what each has set off, and those set meanwhile in the next turn. */
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
      // Before the doors of the next turn, which are opened later.
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
