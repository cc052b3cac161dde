import { Backoff } from '../../platform/backoff.ts';

const PAUSE_MS_FIRST = 500;
const PAUSE_MS_MAX = 60_000;

export type CircuitState = 'closed' | 'open' | 'half-open';

/**
 * Prevents runs from waiting for a server that does not work: after `failuresMax` failures in a row it gets no runs, and
 * is tried again after pauses that grow from 0.5 s to 60 s, each with jitter.
 *
 * It starts half-open, because the server is unknown, and closes only after a proof; half-open tries that proof and
 * never a window. The pauses grow until a run succeeds, so that a server that passes the proof and then fails is not
 * tried faster and faster.
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

  /** A run failed. @returns True if the circuit must open. */
  failed(): boolean {
    this.#failures += 1;
    return this.#failures >= this.#failuresMax;
  }

  /** @returns Milliseconds until the next try. */
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
