import { dirname, join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { loadConfig } from '../../config/config-file.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { readUsers, type Users } from '../../web/access/users-file.ts';
import type { Output } from '../output/output.ts';
import { writePrivateFile } from './private-file.ts';

const HEADER = '# Users and tokens of andon. Written by `andon users` and `andon tokens`; contains hashes only.\n';
const FILE = 'users.yaml';

/** The file with users and tokens that a configuration names. */
export class AccountsFile {
  readonly path: string;
  /** Line that the configuration lacks; undefined if it names the file. */
  readonly missingKey: string | undefined;
  readonly #outboxPath: string;

  private constructor(path: string, missingKey: string | undefined, outboxPath: string) {
    this.path = path;
    this.missingKey = missingKey;
    this.#outboxPath = outboxPath;
  }

  /** If the configuration names no file, it is `users.yaml` next to it. */
  static async of(configFile: string): Promise<AccountsFile> {
    const { http, outbox } = (await loadConfig(configFile, { checkModels: false })).config;
    const path = http.users ?? join(dirname(resolve(configFile)), FILE);
    const missingKey = http.users === undefined ? `http: { users: ${FILE} }` : undefined;
    return new AccountsFile(path, missingKey, outbox.path);
  }

  /** @throws {OperatingError} 'users-file-invalid' (reject). */
  read(): Users {
    try {
      return readUsers(this.path);
    } catch (error) {
      throw new OperatingError('users-file-invalid', 'reject', errorMessage(error), { cause: error });
    }
  }

  async write(users: Users): Promise<void> {
    await writePrivateFile(this.path, HEADER + stringify(users), this.#outboxPath);
  }

  /** Says what the configuration lacks, on standard error, so that scripts are not disturbed. */
  remind(output: Output): void {
    if (this.missingKey !== undefined)
      output.err(`The configuration does not use ${this.path} yet. Add to it: ${this.missingKey}`);
  }
}
