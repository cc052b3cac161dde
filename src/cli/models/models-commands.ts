import type { Command } from 'commander';
import { configOption, jsonOption, runs } from '../output/command.ts';
import { addCompareCommand } from './compare-command.ts';
import { modelsListCommand } from './list-command.ts';
import { addOperationCommands } from './operation-commands.ts';
import { modelsShowCommand } from './show-command.ts';
import { addSigningCommands } from './signing-command.ts';
import { modelsVerifyCommand } from './verify-command.ts';

/** `andon models`. */
export function addModelsCommands(program: Command): void {
  const models = program.command('models').description('the model directory');
  models
    .command('list')
    .description('models, their versions, the active version and its provider')
    .addOption(configOption)
    .addOption(jsonOption)
    .action(runs(modelsListCommand));
  models
    .command('show')
    .argument('<model>', 'NAME or NAME@VERSION')
    .description('the manifest of a model: inputs, threshold, training, metrics')
    .addOption(configOption)
    .addOption(jsonOption)
    .action(runs(modelsShowCommand));
  models
    .command('verify')
    .argument(
      '[model]',
      'NAME or NAME@VERSION, all if left out; or the folder of a version (./1), for its signature only',
    )
    .description('checks hash, graph, golden vectors and latency; exit 1 if a check fails')
    .option('--key <file>', 'public key that must have signed it, instead of those in models.trust')
    .addOption(configOption)
    .addOption(jsonOption)
    .action(runs(modelsVerifyCommand));
  addCompareCommand(models);
  addOperationCommands(models);
  addSigningCommands(models);
}
