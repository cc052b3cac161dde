import { Backoff } from '../../../platform/backoff.ts';

/** Groups in a row with a missing response, from a unit that answers single requests, after which none is sent. */
const FAILURES_MAX = 3;
/** First wait before a group is tried again; doubles up to the longest wait. */
const OFF_MS_FIRST = 60_000;
const OFF_MS_MAX = 3_600_000;

/**
 * Number of requests of a unit that are in flight together. Some devices answer only the first request of a group, or
 * close the connection. Their requests are sent one at a time, and a group is tried again after growing waits.
 */
export class RequestGroups {
  readonly #requestsInFlight: number;
  readonly #backoff: Backoff;
  #failures = 0;
  #offUntilMs = -Infinity;
  #problem: string | undefined;

  constructor(requestsInFlight: number, random: () => number) {
    this.#requestsInFlight = requestsInFlight;
    this.#backoff = new Backoff({ firstMs: OFF_MS_FIRST, maxMs: OFF_MS_MAX, random });
  }

  /** Returns the most requests that may be sent together now. */
  size(nowMs: number): number {
    return nowMs < this.#offUntilMs ? 1 : this.#requestsInFlight;
  }

  /** Reason why requests are sent one at a time, for an operator; undefined otherwise. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Records a group with all its responses. @returns True if `problem` changed. */
  answered(): boolean {
    this.#failures = 0;
    if (this.#problem === undefined) return false;
    this.#problem = undefined;
    this.#backoff.reset();
    return true;
  }

  /**
   * Records a group with a missing response, one of whose reads was answered when it was sent alone.
   * @param failure Cause, for an operator.
   * @returns True if no group is sent from now on.
   */
  failed(nowMs: number, failure: string): boolean {
    this.#failures += 1;
    if (this.#failures < FAILURES_MAX) return false;
    // The next attempt decides alone.
    this.#failures = FAILURES_MAX - 1;
    this.#offUntilMs = nowMs + this.#backoff.nextMs();
    this.#problem = `requests are sent one at a time, because a group of ${this.#requestsInFlight} was not answered completely: ${failure}. Lower requestsInFlight; andon probe --in-flight finds what the device stands`;
    return true;
  }
}
