import type { Command } from 'commander';
import { addTlsCommands } from './tls-command.ts';
import { addTokensCommands } from './tokens-commands.ts';
import { addUsersCommands } from './users-commands.ts';

/** Adds `andon users`, `andon tokens` and `andon tls`. */
export function addAccessCommands(program: Command): void {
  addUsersCommands(program);
  addTokensCommands(program);
  addTlsCommands(program);
}
