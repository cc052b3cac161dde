import { Backoff } from '../../platform/backoff.ts';

const PAUSE_MS_FIRST = 500;
const PAUSE_MS_MAX = 60_000;

export type CircuitState = 'closed' | 'open' | 'half-open';

/**
 * Circuit breaker of a server: opens after a number of failures in a row and retries after pauses that grow from half a
 * second to a minute, with jitter.
 *
 * It starts half-open, because the state of the server is unknown, and closes only after a proof. The half-open state tries
 * that proof, never a window. The pauses keep growing until a run has succeeded: a server that passes its proof and then
 * fails at work is not retried faster.
 *
 * @see M. Nygard, Release It!, 2nd ed. (2018), "Circuit Breaker".
 */
export class CircuitBreaker {
  readonly #failuresMax: number;
  readonly #backoff: Backoff;
  #state: CircuitState = 'half-open';
  #failures = 0;

  constructor(options: { readonly failuresMax: number; readonly random: () => number }) {
    this.#failuresMax = options.failuresMax;
    this.#backoff = new Backoff({ firstMs: PAUSE_MS_FIRST, maxMs: PAUSE_MS_MAX, random: options.random });
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** Failures in a row since it was closed. */
  get failures(): number {
    return this.#failures;
  }

  /** A run succeeded. */
  succeeded(): void {
    this.#failures = 0;
    this.#backoff.reset();
  }

  /** Records a failed run. @returns True if it opened the breaker. */
  failed(): boolean {
    this.#failures += 1;
    return this.#failures >= this.#failuresMax;
  }

  /** @returns How long to leave the server alone, in milliseconds. */
  open(): number {
    this.#state = 'open';
    return this.#backoff.nextMs();
  }

  /** The server is being tried. */
  halfOpen(): void {
    this.#state = 'half-open';
  }

  close(): void {
    this.#state = 'closed';
    this.#failures = 0;
  }
}
