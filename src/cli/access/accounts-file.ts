import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { stringify } from 'yaml';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { readUsers, type Users } from '../../web/access/users-file.ts';
import { commandUser } from '../output/command-user.ts';
import { type Output, printResult } from '../output/output.ts';
import { accessPaths } from './access-paths.ts';
import { writePrivateFile } from './private-file.ts';

const HEADER = '# Users and tokens of andon. Written by `andon users` and `andon tokens`; contains hashes only.\n';

/** The file with users and tokens that a configuration names. */
export class AccountsFile {
  readonly path: string;
  readonly #outboxPath: string;
  /** True if the configuration names the file. */
  readonly #isConfigured: boolean;

  private constructor(path: string, outboxPath: string, isConfigured: boolean) {
    this.path = path;
    this.#outboxPath = outboxPath;
    this.#isConfigured = isConfigured;
  }

  /** If the configuration names no file, it is `users.yaml` next to it. */
  static async of(configFile: string): Promise<AccountsFile> {
    const { usersFile, outboxPath, hasUsersKey } = await accessPaths(configFile);
    return new AccountsFile(usersFile, outboxPath, hasUsersKey);
  }

  /** @throws {OperatingError} 'users-file-invalid' (reject). */
  read(): Users {
    try {
      return readUsers(this.path);
    } catch (error) {
      throw new OperatingError('users-file-invalid', 'reject', errorMessage(error), { cause: error });
    }
  }

  exists(): boolean {
    return existsSync(this.path);
  }

  async write({ users, tokens }: Users): Promise<void> {
    const changed = { by: commandUser(), at: new Date().toISOString() };
    await writePrivateFile(this.path, HEADER + stringify({ users, tokens, changed }), this.#outboxPath);
  }

  /** Prints the result of a command. Reports on standard error what the configuration lacks. @returns Exit code 0. */
  print(output: Output, options: { readonly json?: boolean }, result: Parameters<typeof printResult>[2]): number {
    printResult(output, options, result);
    if (!this.#isConfigured)
      output.err(`The configuration does not use ${this.path} yet. Add to section http: users: ${basename(this.path)}`);
    return 0;
  }
}
