import { Backoff } from '../../../platform/backoff.ts';

/** First wait before an absent unit is retried; doubles up to the longest wait. */
const AWAY_MS_FIRST = 1000;
const AWAY_MS_MAX = 30_000;

/**
 * Circuit breaker of a unit: a unit without valid responses must not delay the other units of its link.
 *
 * After one unanswered read the unit is suspect: its next read has no retries. After two in a row it is away: one read
 * is sent after each wait, and the first response closes the breaker. One unanswered read is not enough, because it may
 * be the fault of that read.
 */
export class UnitBreaker {
  readonly #backoff: Backoff;
  #state: 'answering' | 'suspect' | 'away' = 'answering';
  #retryAtMs = 0;
  #retryInFlight = false;
  #answers = 0;
  #problem: string | undefined;

  constructor(random: () => number) {
    this.#backoff = new Backoff({ firstMs: AWAY_MS_FIRST, maxMs: AWAY_MS_MAX, random });
  }

  /** True if the last read was answered, and before the first. */
  get answering(): boolean {
    return this.#state === 'answering';
  }

  get away(): boolean {
    return this.#state === 'away';
  }

  /** Result of the last read without a response, for an operator: why the unit is away. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Number of responses so far, exceptions included; shows whether the unit answers reads other than the failed one. */
  get answers(): number {
    return this.#answers;
  }

  /** Returns true if a read may be sent; while the unit is away, for one read after each wait. */
  maySend(nowMs: number): boolean {
    if (this.#state !== 'away') return true;
    if (this.#retryInFlight || nowMs < this.#retryAtMs) return false;
    this.#retryInFlight = true;
    return true;
  }

  /** Returns the number of retries of a read. */
  retries(configured: number): number {
    return this.#state === 'answering' ? configured : 0;
  }

  /** Records a response: data or an exception. */
  answered(): void {
    this.#answers += 1;
    if (this.#state === 'answering') return;
    this.#state = 'answering';
    this.#retryInFlight = false;
    this.#backoff.reset();
  }

  /**
   * Records a read without a valid response, retries included.
   * @param problem Result of the read, for an operator.
   * @param waitMsMin Minimum wait before the unit is retried, because a retry delays the other units.
   */
  silent(nowMs: number, problem: string, waitMsMin = 0): void {
    this.#retryInFlight = false;
    this.#problem = problem;
    if (this.#state === 'answering') {
      this.#state = 'suspect';
      return;
    }
    this.#state = 'away';
    this.#retryAtMs = nowMs + Math.max(waitMsMin, this.#backoff.nextMs());
  }

  /** Records a read whose result does not concern the unit. */
  undecided(): void {
    this.#retryInFlight = false;
  }
}
