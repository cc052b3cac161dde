import { commandFailure } from '../../app/command-errors.ts';
import { type Command, Option } from 'commander';
import { hashPassword } from '../../web/access/password.ts';
import { type Role, roles } from '../../web/access/roles.ts';
import { isAccountName } from '../../web/access/users-file.ts';
import { runs, subcommand } from '../output/command.ts';
import type { Output } from '../output/output.ts';
import { table } from '../output/table.ts';
import { AccountsFile } from './accounts-file.ts';
import { addFirstUser, firstUserJson, type FirstUserOptions, firstUserText } from './first-user.ts';
import { newPassword, type PasswordOptions } from './password-input.ts';

type Options = PasswordOptions & { readonly config: string; readonly json?: boolean };

/** Defines `andon users init | add | passwd | remove | list`. */
export function defineUsers(users: Command): void {
  subcommand(users, 'init', 'adds the user admin if there is no user, and prints its password once')
    .option('--password-file <file>', 'file with the password; nothing is printed then')
    .action(runs(initCommand));
  const withPassword = (command: Command) =>
    command
      .argument('<name>', 'name of the user')
      .addOption(new Option('--password-file <file>', 'file with the password').conflicts('generate'))
      .option('--generate', 'make a password and print it once');
  withPassword(subcommand(users, 'add', 'adds a user, or changes the role of one'))
    .addOption(new Option('--role <role>', 'what the user may do').choices([...roles]).makeOptionMandatory())
    .action(runs(addCommand));
  withPassword(subcommand(users, 'passwd', 'sets a new password and ends the sessions of the user')).action(
    runs(passwdCommand),
  );
  subcommand(users, 'remove', 'removes a user and ends the sessions')
    .argument('<name>', 'name of the user')
    .action(runs(removeCommand));
  subcommand(users, 'list', 'users and their roles').action(runs(listCommand));
}

async function initCommand(options: FirstUserOptions, output: Output): Promise<number> {
  const accounts = await AccountsFile.of(options.config);
  const added = await addFirstUser(accounts, options);
  if (added === 'not-shown') {
    output.err(firstUserText(added, options.config));
    return 1;
  }
  return accounts.print(output, options, {
    document: { ok: true, ...firstUserJson(added) },
    text:
      added === 'exists'
        ? `${accounts.path} has users already: andon users list`
        : firstUserText(added, options.config),
  });
}

async function addCommand(name: string, options: Options & { readonly role: Role }, output: Output): Promise<number> {
  if (!isAccountName(name))
    throw commandFailure('account-invalid', `'${name}' is not 1 to 64 letters, digits and . _ @ -`);
  const accounts = await AccountsFile.of(options.config);
  const { users, tokens } = accounts.read();
  const known = Object.hasOwn(users, name) ? users[name] : undefined;
  let hash = options.generate === true || options.passwordFile !== undefined ? undefined : known?.password;
  let password: string | undefined;
  if (hash === undefined) {
    password = await newPassword(name, options);
    hash = await hashPassword(password);
  }
  await accounts.write({ users: { ...users, [name]: { role: options.role, password: hash } }, tokens });
  const done = known === undefined ? 'may log in with' : 'now has';
  return finish(accounts, options, output, {
    text: `${name} ${done} the role ${options.role}.`,
    document: { user: name, role: options.role },
    password: options.generate === true ? password : undefined,
  });
}

async function passwdCommand(name: string, options: Options, output: Output): Promise<number> {
  const accounts = await AccountsFile.of(options.config);
  const { users, tokens } = accounts.read();
  const user = existing(users, name, accounts);
  const password = await newPassword(name, options);
  await accounts.write({ users: { ...users, [name]: { ...user, password: await hashPassword(password) } }, tokens });
  return finish(accounts, options, output, {
    text: `${name} has a new password.`,
    document: { user: name, role: user.role },
    password: options.generate === true ? password : undefined,
  });
}

async function removeCommand(name: string, options: Options, output: Output): Promise<number> {
  const accounts = await AccountsFile.of(options.config);
  const { users, tokens } = accounts.read();
  existing(users, name, accounts);
  const { [name]: _, ...others } = users;
  await accounts.write({ users: others, tokens });
  return finish(accounts, options, output, { text: `${name} is removed.`, document: { user: name } });
}

async function listCommand(options: Options, output: Output): Promise<number> {
  const accounts = await AccountsFile.of(options.config);
  const users = Object.entries(accounts.read().users).map(([name, { role }]) => ({ name, role }));
  const rows = users.map(({ name, role }) => [name, role]);
  const text =
    rows.length === 0 ? 'There is no user. Add one: andon users add NAME --role admin' : table(['user', 'role'], rows);
  return accounts.print(output, options, { document: { users }, text });
}

function existing<User>(users: Readonly<Record<string, User>>, name: string, { path }: AccountsFile): User {
  const user = Object.hasOwn(users, name) ? users[name] : undefined;
  if (user === undefined)
    throw commandFailure('account-unknown', `There is no user '${name}' in ${path}: andon users list`);
  return user;
}

type Done = { readonly text: string; readonly document: object; readonly password?: string | undefined };

function finish(accounts: AccountsFile, options: Options, output: Output, { text, document, password }: Done): number {
  const shown = password === undefined ? '' : `\nPassword, shown this once: ${password}`;
  return accounts.print(output, options, {
    document: { ok: true, ...document, ...(password === undefined ? {} : { password }) },
    text: text + shown,
  });
}
