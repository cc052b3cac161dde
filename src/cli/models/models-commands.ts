import type { Command } from 'commander';
import { runs, subcommand } from '../output/command.ts';
import { addCompareCommand } from './compare-command.ts';
import { modelsListCommand } from './list-command.ts';
import { addOperationCommands } from './operation-commands.ts';
import { modelsShowCommand } from './show-command.ts';
import { addSigningCommands } from './signing-command.ts';
import { modelsVerifyCommand } from './verify-command.ts';

/** Defines `andon models` and its commands. */
export function defineModels(models: Command): void {
  subcommand(models, 'list', 'models, their versions, the active version and its provider').action(
    runs(modelsListCommand),
  );
  subcommand(models, 'show', 'the manifest of a model: inputs, threshold, training, metrics')
    .argument('<model>', 'NAME or NAME@VERSION')
    .action(runs(modelsShowCommand));
  subcommand(models, 'verify', 'checks hash, graph, golden vectors and latency; exit 1 if a check fails')
    .argument(
      '[model]',
      'NAME or NAME@VERSION, all if left out; or the folder of a version (./1), for its signature only',
    )
    .option('--key <file>', 'public key that must have signed it, instead of those in models.trust')
    .action(runs(modelsVerifyCommand));
  addCompareCommand(models);
  addOperationCommands(models);
  addSigningCommands(models);
}
