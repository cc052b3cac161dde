import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { errorMessage } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log.ts';

const FILE = 'token';
const TOKEN_BYTES = 32;

/**
 * A token that each start of the agent writes next to its outbox, for commands on the box. Only the agent's Unix user and
 * root may read the file, so its reader may do everything.
 */
export class LocalToken {
  readonly secret = randomBytes(TOKEN_BYTES).toString('base64url');
  readonly #path: string;
  readonly #log: Logger;

  constructor(outboxPath: string, log: Logger) {
    this.#path = tokenPath(outboxPath);
    this.#log = log;
  }

  /** Writes the file. Without it, commands have the rights of requests without a login. */
  async write(): Promise<void> {
    const fresh = `${this.#path}.new`;
    try {
      await rm(fresh, { force: true });
      {
        await using file = await open(fresh, 'wx', 0o600);
        await file.writeFile(this.secret);
      }
      await rename(fresh, this.#path);
    } catch (error) {
      this.#log.warn(
        { file: this.#path },
        `The token for commands on this box cannot be written: ${errorMessage(error)}`,
      );
    }
  }
}

/** Returns the token of the agent with this outbox; undefined if there is none or this Unix user may not read it. */
export function readLocalToken(outboxPath: string): string | undefined {
  try {
    return readFileSync(tokenPath(outboxPath), 'utf8');
  } catch {
    return undefined;
  }
}

/** Returns the Unix user (uid) who wrote the token; undefined if there is none. */
export function localTokenOwner(outboxPath: string): number | undefined {
  return statSync(tokenPath(outboxPath), { throwIfNoEntry: false })?.uid;
}

function tokenPath(outboxPath: string): string {
  return `${outboxPath}.${FILE}`;
}
