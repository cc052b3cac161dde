import { commandFailure } from '../../app/command-errors.ts';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { readSecret } from '../../platform/config-fields.ts';
import type { OperatingError } from '../../platform/errors.ts';

/** IEC 62443-4-2, CR 1.7: the strength of a password. Length counts; classes of characters do not. */
const LENGTH_MIN = 12;
const GENERATED_BYTES = 15;

export type PasswordOptions = { readonly passwordFile?: string; readonly generate?: boolean };

/**
 * Returns a new password: generated, from a file, or asked for twice at the terminal.
 *
 * @throws {OperatingError} 'password-refused' (reject) if it is too short, is the name of the user, or there is no terminal.
 */
export async function newPassword(user: string, { passwordFile, generate }: PasswordOptions): Promise<string> {
  if (generate === true) return randomBytes(GENERATED_BYTES).toString('base64url');
  if (passwordFile !== undefined) return strong(readSecret({ file: passwordFile }), user);
  if (!process.stdin.isTTY) throw refused('Without a terminal, give --password-file or --generate');
  const password = strong(await askHidden(`New password of ${user} (${LENGTH_MIN} characters or more): `), user);
  if ((await askHidden('Again: ')) !== password) throw refused('The two passwords differ');
  return password;
}

/** Returns the password. @throws {OperatingError} 'password-refused'. */
function strong(password: string, user: string): string {
  if (password.length < LENGTH_MIN)
    throw refused(`The password has ${password.length} characters; it needs ${LENGTH_MIN} or more`);
  if (password.toLowerCase().includes(user.toLowerCase())) throw refused('The password contains the name of the user');
  return password;
}

/** Asks at the terminal and shows nothing of the answer. */
async function askHidden(question: string): Promise<string> {
  process.stderr.write(question);
  const nothing = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nothing, terminal: true });
  try {
    return await lines.question('');
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}

function refused(reason: string): OperatingError {
  return commandFailure('password-refused', reason);
}
