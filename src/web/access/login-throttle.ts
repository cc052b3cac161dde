import { normalizeIP } from '@fastify/rate-limit';
import type { Clock } from '../../platform/clock.ts';

const WINDOW_MS = 300_000;
/** Failed logins of one user from one address. Another address is not affected, so an attacker cannot lock a user out. */
const PER_USER_MAX = 10;
/** Failed logins from one address; of IPv6, from one network of 64 bits. */
const PER_ADDRESS_MAX = 60;
/** An address with more than its limit adds no users, so this is enough for 160 attackers at a time. */
const KEYS_MAX = 10_000;

type Count = { attempts: number; readonly endMs: number };

/** Limits the logins that fail. Bounded: the oldest counts are forgotten first. */
export class LoginThrottle {
  readonly #clock: Clock;
  /** By address, and by address and user; the oldest first. */
  readonly #counts = new Map<string, Count>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Counts a login before its password is checked: otherwise many at the same time would all be tried.
   *
   * @returns Time that it must wait, in seconds; 0 if it may be tried.
   */
  begin(user: string, ip: string): number {
    const address = normalizeIP(ip, 64);
    return this.#count(address, PER_ADDRESS_MAX) || this.#count(`${address} ${user}`, PER_USER_MAX);
  }

  /** Takes the count of a login back, because its password was right. */
  succeed(user: string, ip: string): void {
    const address = normalizeIP(ip, 64);
    for (const key of [address, `${address} ${user}`]) {
      const count = this.#counts.get(key);
      if (count !== undefined) count.attempts -= 1;
    }
  }

  #count(key: string, max: number): number {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#counts.get(key);
    const count = known === undefined || known.endMs <= nowMs ? { attempts: 0, endMs: nowMs + WINDOW_MS } : known;
    if (count.attempts >= max) return Math.max(1, Math.ceil((count.endMs - nowMs) / 1000));
    count.attempts += 1;
    if (count === known) return 0;
    this.#counts.delete(key);
    this.#counts.set(key, count);
    const oldest = this.#counts.size > KEYS_MAX ? this.#counts.keys().next().value : undefined;
    if (oldest !== undefined) this.#counts.delete(oldest);
    return 0;
  }
}
