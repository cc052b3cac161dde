import { commandFailure } from '../../app/command-errors.ts';
import { randomBytes } from 'node:crypto';
import { type Command, Option } from 'commander';
import { parseDurationMs } from '../../domain/duration.ts';
import { SystemClock } from '../../platform/clock.ts';
import { type Role, roles } from '../../web/access/roles.ts';
import { isAccountName, tokenDigest } from '../../web/access/users-file.ts';
import { runs, subcommand } from '../output/command.ts';
import type { Output } from '../output/output.ts';
import { table } from '../output/table.ts';
import { AccountsFile } from './accounts-file.ts';

type Options = { readonly config: string; readonly json?: boolean };
type AddOptions = Options & { readonly role: Role; readonly for?: string };

const TOKEN_BYTES = 32;
const VALIDITY_MS_MAX = 3_650 * 86_400_000;

/** Defines `andon tokens add | remove | list`. */
export function defineTokens(tokens: Command): void {
  subcommand(tokens, 'add', 'makes a token and prints it once; a program sends it as Authorization: Bearer TOKEN')
    .argument('<name>', 'name for records and the audit log, such as mes')
    .addOption(new Option('--role <role>', 'what the program may do').choices([...roles]).makeOptionMandatory())
    .option('--for <duration>', 'it expires after this time, such as 365d; by default it does not expire')
    .action(runs(addCommand));
  subcommand(tokens, 'remove', 'removes a token').argument('<name>', 'name of the token').action(runs(removeCommand));
  subcommand(tokens, 'list', 'tokens with roles and expiry').action(runs(listCommand));
}

async function addCommand(name: string, options: AddOptions, output: Output): Promise<number> {
  if (!isAccountName(name))
    throw commandFailure('account-invalid', `'${name}' is not 1 to 64 letters, digits and . _ @ -`);
  const accounts = await AccountsFile.of(options.config);
  const { users, tokens } = accounts.read();
  if (Object.hasOwn(tokens, name))
    throw commandFailure(
      'account-exists',
      `There is a token '${name}' already. Remove it, or use another name: several tokens are valid at the same time`,
    );
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  const expires = expiry(options.for);
  const entry = { role: options.role, sha256: tokenDigest(token), ...(expires === undefined ? {} : { expires }) };
  await accounts.write({ users, tokens: { ...tokens, [name]: entry } });
  const ends = expires === undefined ? 'It does not expire.' : `It expires on ${expires.slice(0, 10)}.`;
  return accounts.print(output, options, {
    document: { ok: true, token, name, role: options.role, expires: expires ?? null },
    text: `Token of ${name}, shown this once: ${token}\n${ends}`,
  });
}

function expiry(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const forMs = parseDurationMs(text);
  if (forMs === undefined || forMs <= 0 || forMs > VALIDITY_MS_MAX)
    throw commandFailure('account-invalid', `--for ${text}: expected a duration up to 3650d, such as 365d`);
  return new Date(new SystemClock().nowMs() + forMs).toISOString();
}

async function removeCommand(name: string, options: Options, output: Output): Promise<number> {
  const accounts = await AccountsFile.of(options.config);
  const { users, tokens } = accounts.read();
  if (!Object.hasOwn(tokens, name))
    throw commandFailure('account-unknown', `There is no token '${name}' in ${accounts.path}: andon tokens list`);
  const { [name]: _, ...others } = tokens;
  await accounts.write({ users, tokens: others });
  return accounts.print(output, options, { document: { ok: true, name }, text: `The token ${name} is removed.` });
}

async function listCommand(options: Options, output: Output): Promise<number> {
  const accounts = await AccountsFile.of(options.config);
  const tokens = Object.entries(accounts.read().tokens).map(([name, { role, expires = null }]) => ({
    name,
    role,
    expires,
  }));
  const rows = tokens.map(({ name, role, expires }) => [name, role, expires ?? 'never']);
  const text =
    rows.length === 0
      ? 'There is no token. Add one: andon tokens add NAME --role viewer'
      : table(['token', 'role', 'expires'], rows);
  return accounts.print(output, options, { document: { tokens }, text });
}
