import { hashPassword } from '../../web/access/password.ts';
import type { AccountsFile } from './accounts-file.ts';
import { newPassword } from './password-input.ts';

const FIRST_USER = 'admin';

export type FirstUserOptions = { readonly config: string; readonly json?: boolean; readonly passwordFile?: string };

export type FirstUser = {
  readonly name: string;
  /** Generated password, to be shown once; undefined if it is from a file. */
  readonly password: string | undefined;
  /** True if the command made the file with the users. */
  readonly isNewFile: boolean;
};

/**
 * Adds the user `admin` with all rights, if the file has no user.
 *
 * @returns 'exists' if there is a user. 'not-shown' if a generated password would go into a file or a log: standard output
 *   is no terminal, and `--json` was not given.
 * @throws {OperatingError} 'password-refused' (reject), 'users-file-invalid' (reject), 'file-not-written' (retry).
 */
export async function addFirstUser(
  accounts: AccountsFile,
  { json, passwordFile }: FirstUserOptions,
): Promise<FirstUser | 'exists' | 'not-shown'> {
  const { users, tokens } = accounts.read();
  if (Object.keys(users).length > 0) return 'exists';
  const isGenerated = passwordFile === undefined;
  if (isGenerated && json !== true && !process.stdout.isTTY) return 'not-shown';
  const password = await newPassword(FIRST_USER, isGenerated ? { generate: true } : { passwordFile });
  const isNewFile = !accounts.exists();
  await accounts.write({ users: { [FIRST_USER]: { role: 'admin', password: await hashPassword(password) } }, tokens });
  return { name: FIRST_USER, password: isGenerated ? password : undefined, isNewFile };
}

/** Returns the JSON of the first user; `user` is null if none was added. */
export function firstUserJson(added: FirstUser | 'exists' | 'not-shown'): object {
  if (typeof added === 'string') return { user: null };
  const { name, password } = added;
  return password === undefined ? { user: name } : { user: name, password };
}

/** Returns the lines that show the first user, or how to add one. */
export function firstUserText(added: FirstUser | 'not-shown', config: string): string {
  if (added === 'not-shown')
    return `No user can log in yet. At a terminal, or with --json: andon users init -c ${config}`;
  const { name, password } = added;
  return password === undefined
    ? `User ${name} (role admin) may log in with the password of the file.`
    : `User ${name} (role admin), password, shown this once: ${password}`;
}
