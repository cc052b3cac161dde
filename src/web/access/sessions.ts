import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../../platform/clock.ts';

export type SessionLimits = {
  /** A session ends after this time without a request that a person caused. */
  readonly sessionIdleMs: number;
  /** A session ends after this time in any case. */
  readonly sessionMaxMs: number;
};

type Session = {
  readonly user: string;
  /** Stored password at the login: a new one ends the session. */
  readonly password: string;
  readonly address: string;
  readonly openedMs: number;
  usedMs: number;
};

const ID_BYTES = 32;
const PER_USER_MAX = 20;

/**
 * Sessions of the users who logged in on the page, in memory: a restart of the agent ends them. Only digests of the ids are
 * kept.
 */
export class Sessions {
  readonly #limits: SessionLimits;
  readonly #clock: Clock;
  /** By digest of the id, the longest unused first. */
  readonly #sessions = new Map<string, Session>();

  constructor(limits: SessionLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Opens a session, and ends the user's longest unused one if there are 20. Returns its id, for the cookie. */
  open(user: string, password: string, address: string): string {
    this.#removeEnded();
    const own = [...this.#sessions].filter(([, session]) => session.user === user);
    if (own.length >= PER_USER_MAX) this.#sessions.delete(own[0]?.[0] ?? '');
    const id = randomBytes(ID_BYTES).toString('base64url');
    const nowMs = this.#clock.monotonicMs();
    this.#sessions.set(digest(id), { user, password, address, openedMs: nowMs, usedMs: nowMs });
    return id;
  }

  /** Returns the session of an id, and notes that it is used; undefined if it has ended. */
  use(id: string): Pick<Session, 'user' | 'password'> | undefined {
    const session = this.look(id);
    if (session === undefined) return undefined;
    const key = digest(id);
    this.#sessions.delete(key);
    session.usedMs = this.#clock.monotonicMs();
    this.#sessions.set(key, session);
    return session;
  }

  /** Returns the session of an id as `use` does. It does not count as used. */
  look(id: string): Session | undefined {
    const key = digest(id);
    const session = this.#sessions.get(key);
    if (session === undefined || !this.#hasEnded(session)) return session;
    this.#sessions.delete(key);
    return undefined;
  }

  close(id: string): void {
    this.#sessions.delete(digest(id));
  }

  /** Ends the sessions of a user. Returns how many there were. */
  closeOf(user: string): number {
    const own = [...this.#sessions].filter(([, session]) => session.user === user);
    for (const [key] of own) this.#sessions.delete(key);
    return own.length;
  }

  /** Returns the open sessions, without their ids. */
  list(): readonly { readonly user: string; readonly address: string; readonly idleMs: number }[] {
    this.#removeEnded();
    const nowMs = this.#clock.monotonicMs();
    return [...this.#sessions.values()].map(({ user, address, usedMs }) => ({ user, address, idleMs: nowMs - usedMs }));
  }

  #removeEnded(): void {
    for (const [key, session] of this.#sessions) if (this.#hasEnded(session)) this.#sessions.delete(key);
  }

  #hasEnded({ openedMs, usedMs }: Session): boolean {
    const nowMs = this.#clock.monotonicMs();
    return nowMs - usedMs >= this.#limits.sessionIdleMs || nowMs - openedMs >= this.#limits.sessionMaxMs;
  }
}

function digest(id: string): string {
  return createHash('sha256').update(id).digest('base64');
}
