import { Backoff } from '../../platform/backoff.ts';

const PAUSE_MS_FIRST = 500;
const PAUSE_MS_MAX = 60_000;

export type CircuitState = 'closed' | 'open' | 'half-open';

/**
 * Keeps runs from waiting for a server that does not serve: after so many failures in a row it is left alone, and tried
 * again after pauses that grow from half a second to a minute, each with jitter.
 *
 * It begins half-open, as nothing is known of the server yet, and closes only by a proof. What is tried while it is half-open
 * is that proof and never a window. The pauses grow on until a run has succeeded: a server that proves itself and then
 * fails at work is not asked ever faster.
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

  /** A run failed. @returns Whether that was one too many. */
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
