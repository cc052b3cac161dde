import { Backoff } from '../../../platform/backoff.ts';

/** First wait before an absent unit is tried again, doubling up to the longest. */
const AWAY_MS_FIRST = 1000;
const AWAY_MS_MAX = 30_000;

/**
 * Keeps a unit that does not answer, or never properly, from delaying the others on its link.
 *
 * The first read that gets no answer makes the unit suspect: its next read is tried once, without retries. The
 * second in a row makes it away: nothing is asked but one read now and then, and the first answer ends it.
 * Two, because a single read that is never answered is the read's fault and not the unit's.
 */
export class UnitBreaker {
  readonly #backoff: Backoff;
  #state: 'answering' | 'suspect' | 'away' = 'answering';
  #trialAtMs = 0;
  #trialInFlight = false;
  #answers = 0;
  #problem = '';

  constructor(random: () => number) {
    this.#backoff = new Backoff({ firstMs: AWAY_MS_FIRST, maxMs: AWAY_MS_MAX, random });
  }

  get away(): boolean {
    return this.#state === 'away';
  }

  /** Why it is away, for an operator: what became of the last read. */
  get problem(): string {
    return this.#problem;
  }

  /** Answers so far, exceptions included; tells whether the unit answers others than the read that failed. */
  get answers(): number {
    return this.#answers;
  }

  /** True if a read may be sent; while the unit is away, for one read each time that its wait is over. */
  mayAsk(nowMs: number): boolean {
    if (this.#state !== 'away') return true;
    if (this.#trialInFlight || nowMs < this.#trialAtMs) return false;
    this.#trialInFlight = true;
    return true;
  }

  /** How often a read may be repeated now. */
  retries(configured: number): number {
    return this.#state === 'answering' ? configured : 0;
  }

  /** The unit said something: data, or that it refuses. */
  answered(): void {
    this.#answers += 1;
    if (this.#state === 'answering') return;
    this.#state = 'answering';
    this.#trialInFlight = false;
    this.#backoff.reset();
  }

  /**
   * A read got no proper answer, retries included.
   * @param problem What became of it, for an operator.
   * @param waitMsMin Least wait before the unit is tried again, for the sake of others whom a trial would delay.
   */
  silent(nowMs: number, problem: string, waitMsMin = 0): void {
    this.#trialInFlight = false;
    this.#problem = problem;
    if (this.#state === 'answering') {
      this.#state = 'suspect';
      return;
    }
    this.#state = 'away';
    this.#trialAtMs = nowMs + Math.max(waitMsMin, this.#backoff.nextMs());
  }

  /** A read ended in a way that says nothing about the unit. */
  undecided(): void {
    this.#trialInFlight = false;
  }
}
