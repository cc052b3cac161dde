import { type Command, Option } from 'commander';
import { algorithms } from '../../training/catalogue/algorithms.ts';
import { evaluateCommand } from './evaluate-command.ts';
import { historyExportCommand } from './history-command.ts';
import { configOption, finiteNumber, runs, withConfig } from '../output/command.ts';
import { addCsvOptions } from '../output/csv-options.ts';
import { trainCommand } from './train-command.ts';

/** Defines `andon history export`. */
export function defineHistory(history: Command): void {
  history
    .command('export')
    .description('good samples as CSV, one row for each time')
    .addOption(configOption)
    .option('--from <time>', 'ISO 8601, or an age such as 24h; default: the oldest sample')
    .option('--to <time>', 'ISO 8601, or an age; default: the newest sample')
    .option('--tags <tags>', 'tag,tag,…; default: every tag of a watch')
    .option('--out <file>', 'write to a file instead of standard output; .parquet makes it Parquet')
    .action(runs(historyExportCommand));
}

/** Defines `andon train`. */
export function defineTrain(command: Command): void {
  const names = algorithms.map(({ name, tasks, description }) => `${name} (${tasks.join(', ')}): ${description}`);
  recordingOptions(withConfig(command))
    .addOption(
      new Option(
        '--algorithm <name>',
        'how to learn; default: control-chart for one tag and wpca for more; for labels the best of all on held-out rows',
      ).choices(algorithms.map(({ name }) => name)),
    )
    .addOption(new Option('--task <task>', 'what to learn').choices(['anomaly', 'regression', 'classification']))
    .option('--above <number>', 'a regression is abnormal above this', finiteNumber)
    .option('--below <number>', 'a regression is abnormal below this', finiteNumber)
    .option('--force', 'train on fewer rows than the algorithm advises; the model has a warning')
    .option('--window-rows <n>', 'rows of a window, if the algorithm leaves it open', finiteNumber)
    .addHelpText('after', `\nAlgorithms:\n${names.map((name) => `  ${name}`).join('\n')}`)
    .action(runs(trainCommand));
}

/** Defines `andon evaluate`. */
export function defineEvaluate(command: Command): void {
  recordingOptions(withConfig(command))
    .option('--model <name>', 'NAME or NAME@VERSION; default: the model of the watch')
    .option('--against <name>', 'a second model, side by side')
    .option('--out <file>', 'time;score;prediction, one line for each row')
    .option('--report <folder>', 'report.md and its plots')
    .action(runs(evaluateCommand));
}

/** Adds the options that select the rows, the same for both commands. */
function recordingOptions(command: Command): Command {
  return addCsvOptions(command)
    .requiredOption('--watch <id>', 'watch with the tags, the window and the alarm')
    .option('--csv <file>', "a historian's CSV; without it, the box's own history")
    .option('--rows <range>', 'rows of the CSV, from 0 after the header: 0-399, 400-')
    .option('--from <time>', 'begin of the history: ISO 8601, or an age such as 24h')
    .option('--to <time>', 'end of the history')
    .option('--columns <pairs>', 'tag=header,… if the header does not name the tags')
    .option('--step <duration>', 'put rows on the grid of the watch by their times, instead of one row for each step')
    .option('--label <column>', 'column with the label of each row: 0 or normal, anything else is abnormal');
}
