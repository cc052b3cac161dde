import type { Command } from 'commander';
import { addAuditCommands } from './audit-commands.ts';
import { addTlsCommands } from './tls-command.ts';
import { addTokensCommands } from './tokens-commands.ts';
import { addUsersCommands } from './users-commands.ts';

/** Adds `andon users`, `andon tokens`, `andon tls` and `andon audit`. */
export function addAccessCommands(program: Command): void {
  addUsersCommands(program);
  addTokensCommands(program);
  addTlsCommands(program);
  addAuditCommands(program);
}
