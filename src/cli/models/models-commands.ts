import type { Command } from 'commander';
import type { CommandContext } from '../output/command-context.ts';
import { addCompareCommand } from './compare-command.ts';
import { modelsListCommand } from './list-command.ts';
import { addOperationCommands } from './operation-commands.ts';
import { modelsShowCommand } from './show-command.ts';
import { addSigningCommands } from './signing-command.ts';
import { modelsVerifyCommand, type VerifyOptions } from './verify-command.ts';

type ModelsOptions = { readonly config: string; readonly json?: boolean };

/** `andon models`. */
export function addModelsCommands(program: Command, context: CommandContext): void {
  const { output, done, config, json } = context;
  const models = program.command('models').description('the model directory');
  models
    .command('list')
    .description('models, their versions, the active version and its provider')
    .addOption(config())
    .addOption(json())
    .action(async (options: ModelsOptions) => done(await modelsListCommand(options, output)));
  models
    .command('show')
    .argument('<model>', 'NAME or NAME@VERSION')
    .description('the manifest of a model: inputs, threshold, training, metrics')
    .addOption(config())
    .addOption(json())
    .action(async (model: string, options: ModelsOptions) => done(await modelsShowCommand(model, options, output)));
  models
    .command('verify')
    .argument(
      '[model]',
      'NAME or NAME@VERSION, all if left out; or the folder of a version (./1), for its signature only',
    )
    .description('checks hash, graph, golden vectors and latency; exit 1 if a check fails')
    .option('--key <file>', 'public key that must have signed it, instead of those in models.trust')
    .addOption(config())
    .addOption(json())
    .action(async (model: string | undefined, options: VerifyOptions) =>
      done(await modelsVerifyCommand(model, options, output)),
    );
  addCompareCommand(models, context);
  addOperationCommands(models, context);
  addSigningCommands(models, context);
}
