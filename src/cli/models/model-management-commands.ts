import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { ModelActOptions } from './model-act-commands.ts';
import {
  modelsActivateCommand,
  modelsPinCommand,
  modelsRemoveCommand,
  modelsRollbackCommand,
  modelsUnpinCommand,
} from './model-act-commands.ts';
import type { ModelAuditOptions } from './model-audit-command.ts';
import { modelsAuditCommand } from './model-audit-command.ts';
import type { ModelInstallOptions } from './model-install-command.ts';
import { modelsInstallCommand } from './model-install-command.ts';
import type { CommandContext } from '../output/command-context.ts';

/** `andon models install | activate | rollback | pin | unpin | remove | audit`. */
export function addModelManagementCommands(models: Command, context: CommandContext): void {
  addInstall(models, context);
  addActs(models, context);
  const { output, done, config, json } = context;
  models
    .command('audit')
    .description('what was done to the model directory; exit 1 where the log was tampered with')
    .option('--contains <hash>', 'a hash kept elsewhere, which the log must still contain', sha256)
    .addOption(config())
    .addOption(json())
    .action(async (options: ModelAuditOptions) => done(await modelsAuditCommand(options, output)));
}

function addInstall(models: Command, { output, done, config, json }: CommandContext): void {
  models
    .command('install')
    .argument('<package>', 'a folder, a .tgz, or the http:// or https:// URL of one')
    .description('proves a package and puts it into the model directory; activates nothing by itself')
    .option('--activate', 'make it the active version too')
    .option('--sha256 <hash>', 'SHA-256 that the archive must have', sha256)
    .option('--header <name: value>', 'sent with the request for a URL; may be given several times', header)
    .addOption(config())
    .addOption(json())
    .action(async (source: string, options: ModelInstallOptions) =>
      done(await modelsInstallCommand(source, options, output)),
    );
}

function addActs(models: Command, { output, done, config, json }: CommandContext): void {
  models
    .command('activate')
    .argument('<model>', 'NAME@VERSION')
    .description('makes a version the active one, once it is proved')
    .addOption(config())
    .addOption(json())
    .action(async (model: string, options: ModelActOptions) =>
      done(await modelsActivateCommand(model, options, output)),
    );
  models
    .command('rollback')
    .argument('<model>', 'NAME')
    .description('back to the version that was active before')
    .addOption(config())
    .addOption(json())
    .action(async (model: string, options: ModelActOptions) =>
      done(await modelsRollbackCommand(model, options, output)),
    );
  models
    .command('pin')
    .argument('<model>', 'NAME@VERSION, the active one')
    .description('holds the active version fast: nothing changes it until it is unpinned')
    .addOption(config())
    .addOption(json())
    .action(async (model: string, options: ModelActOptions) => done(await modelsPinCommand(model, options, output)));
  models
    .command('unpin')
    .argument('<model>', 'NAME')
    .description('lets go of a pinned version')
    .addOption(config())
    .addOption(json())
    .action(async (model: string, options: ModelActOptions) => done(await modelsUnpinCommand(model, options, output)));
  models
    .command('remove')
    .argument('<model>', 'NAME@VERSION')
    .description('deletes a version that is neither active, pinned nor in use')
    .option('--force', 'also the one that a rollback would go back to')
    .addOption(config())
    .addOption(json())
    .action(async (model: string, options: ModelActOptions & { readonly force?: boolean }) =>
      done(await modelsRemoveCommand(model, options, output)),
    );
}

function sha256(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('expected 64 hexadecimal digits');
}

/** @param before Those given so far; none at the first. */
function header(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const match = /^([\w!#$%&'*+.^`|~-]+)\s*:\s*(.*)$/.exec(text);
  if (match?.[1] === undefined) throw new InvalidArgumentError("expected a header such as 'authorization: Bearer …'");
  return { ...before, [match[1].toLowerCase()]: match[2] ?? '' };
}
