import type { Role } from './roles.ts';

/** Sender of a request. */
export type Caller = {
  /** `local` is the Unix user who may read the local token; `anonymous` has not logged in. */
  readonly kind: 'user' | 'token' | 'local' | 'anonymous';
  /** Name of the user, of the token, or of the Unix user. */
  readonly name: string;
  readonly role: Role;
  /** IP address of the client. */
  readonly address: string;
};

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined on a route that is open to everyone, if the request has no valid login. */
    caller: Caller | undefined;
    /** Returns false if the login of the request has ended since: revoked, expired, or logged out. For long answers. */
    isStillAdmitted: () => boolean;
  }
}

/**
 * Returns the name under which an act is recorded. It comes from the login, not from the request.
 *
 * @param onBehalfOf Person whom the caller names. A program with a token acts for several people, so both names are
 *   recorded. A logged-in user cannot name another person.
 */
export function actorName(caller: Caller | undefined, onBehalfOf?: string): string {
  if (caller === undefined) return 'unknown';
  switch (caller.kind) {
    case 'user':
    case 'local':
      return caller.name;
    case 'token':
      return onBehalfOf === undefined ? caller.name : `${caller.name} for ${onBehalfOf}`;
    case 'anonymous':
      return onBehalfOf ?? 'anonymous';
  }
}

/** Returns the actor with the address of the client, for the audit log: `anna@10.0.0.5`. */
export function actorWithAddress(caller: Caller | undefined): string {
  return caller === undefined ? 'unknown' : `${actorName(caller)}@${caller.address}`;
}
