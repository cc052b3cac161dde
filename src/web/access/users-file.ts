import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import * as z from 'zod';
import type { Clock } from '../../platform/clock.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import { fileVersion } from '../../platform/plain-file.ts';
import { isPasswordHash } from './password.ts';
import { roles } from './roles.ts';

/** Names appear in logs, records and the audit log. */
const accountName = z.string().regex(/^[\p{L}\p{N}][\p{L}\p{N}._@-]{0,63}$/u, {
  error: 'expected a name of 1 to 64 letters, digits and . _ @ -',
});
const role = z.enum(roles, { error: `expected a role: ${roles.join(', ')}` });

/** Returns true if the text can be the name of a user or token. */
export function isAccountName(text: string): boolean {
  return accountName.safeParse(text).success;
}

const usersSchema = z.strictObject({
  users: z
    .record(
      accountName,
      z.strictObject({
        role,
        password: z.custom<string>((text) => typeof text === 'string' && isPasswordHash(text), {
          error: 'expected a password set by andon users passwd',
        }),
      }),
    )
    .default({}),
  tokens: z
    .record(
      accountName,
      z.strictObject({
        role,
        sha256: z.string().regex(/^[0-9a-f]{64}$/, { error: 'expected the SHA-256 of a token, from andon tokens add' }),
        expires: z.iso.datetime({ offset: true }).optional(),
      }),
    )
    .default({}),
  changed: z
    .strictObject({ by: z.string().min(1).max(200), at: z.iso.datetime({ offset: true }) })
    .optional()
    .describe('Command that wrote the file, for the audit log'),
});

/** Content of the file with users and tokens. It contains no password and no token, only their hashes. */
export type Users = z.infer<typeof usersSchema>;

export const noUsers: Users = { users: {}, tokens: {} };

/** Reads the file. A file that does not exist has no users. @throws {Error} with the path and the problem. */
export function readUsers(path: string): Users {
  try {
    return parseUsers(readFileSync(path, 'utf8'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return noUsers;
    throw new Error(`${path}: ${errorMessage(error)}`, { cause: error });
  }
}

function parseUsers(text: string): Users {
  const parsed = usersSchema.safeParse(parse(text) ?? {});
  if (parsed.success) return parsed.data;
  throw new Error(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
}

/**
 * Returns what differs between two versions of the file, for the audit log: `users.anna: added (engineer)`.
 *
 * @returns `by`: Unix user of the command that wrote it, as in the file; undefined for an edit by hand.
 */
export function accountChanges(
  before: Users,
  after: Users,
): { readonly by: string | undefined; readonly changes: readonly string[] } {
  const changes = (['users', 'tokens'] as const).flatMap((kind) => {
    const names = new Set([...Object.keys(before[kind]), ...Object.keys(after[kind])]);
    return [...names].flatMap((name) => {
      const [old, present] = [before[kind][name], after[kind][name]];
      if (JSON.stringify(old) === JSON.stringify(present)) return [];
      return [`${kind}.${name}: ${changeOf(old?.role, present?.role)}`];
    });
  });
  const isByCommand = after.changed?.at !== before.changed?.at;
  return { by: isByCommand ? after.changed?.by : undefined, changes };
}

function changeOf(before: string | undefined, after: string | undefined): string {
  if (before === undefined) return `added (${after})`;
  if (after === undefined) return 'removed';
  return before === after ? 'new secret or expiry' : `role ${before} became ${after}`;
}

/** SHA-256 of a token, as the file has it. */
export function tokenDigest(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** The file is read again this often at most. */
export const USERS_LOOK_INTERVAL_MS = 1_000;

/** The file with users and tokens. A change applies to the next request, without a restart. */
export class UsersFile {
  readonly path: string;
  readonly #clock: Clock;
  readonly #onRead: (problem: string | undefined) => void;
  #users: Users = noUsers;
  #version: string | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  /** @param onRead Called with the problem of a new version of the file; undefined if it is valid. */
  constructor(path: string, clock: Clock, onRead: (problem: string | undefined) => void) {
    this.path = path;
    this.#clock = clock;
    this.#onRead = onRead;
  }

  /** Returns the present content, or the last valid one. */
  current(): Users {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#lookedAtMs < USERS_LOOK_INTERVAL_MS) return this.#users;
    this.#lookedAtMs = nowMs;
    const version = fileVersion(this.path);
    if (version === this.#version) return this.#users;
    this.#version = version;
    try {
      this.#users = readUsers(this.path);
      this.#onRead(undefined);
    } catch (error) {
      this.#onRead(errorMessage(error));
    }
    return this.#users;
  }
}
