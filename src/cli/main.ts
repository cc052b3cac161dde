import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { recordKinds } from '../domain/record/record.ts';
import { packageVersion } from '../platform/package-version.ts';
import { ConfigError, errorMessage, InvariantError, OperatingError } from '../platform/errors.ts';
import { addAccessCommands } from './access/access-commands.ts';
import { addBackupCommands } from './backup-command.ts';
import { addAlarmCommands } from './alarms-command.ts';
import { checkCommand } from './setup/check-command.ts';
import { addCompletionCommand } from './completion-command.ts';
import { demoCommand } from './demo/demo-command.ts';
import { addModelsCommands } from './models/models-commands.ts';
import { outboxExportCommand, outboxRewindCommand, outboxStatsCommand } from './outbox-command.ts';
import { configOption, jsonOption, output, runs, subcommand } from './output/command.ts';
import { planCommand } from './plan-command.ts';
import { addProbeCommand } from './probe-command.ts';
import { addCsvOptions } from './output/csv-options.ts';
import { runCommand } from './run-command.ts';
import { schemaCommand } from './schema-command.ts';
import { addInitCommand } from './setup/init-command.ts';
import { addScanCommand } from './setup/scan-command.ts';
import { addImportCommand } from './import-command.ts';
import { addUnitCommand } from './setup/unit-command.ts';
import { addTagsCommands } from './setup/tags-command.ts';
import { simulateCommand } from './demo/simulate-command.ts';
import { statusCommand } from './status-command.ts';
import { addTrainingCommands } from './training/training-commands.ts';

/** sysexits.h, as interface of every command: 0 done, 1 the check found something, and these. */
const EXIT_USAGE = 64;
const EXIT_BUG = 70;
const EXIT_CONFIG = 78;

// A reader that closes the pipe early (`| head`) is not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : EXIT_BUG));

try {
  await commands().parseAsync(process.argv);
} catch (error) {
  process.exitCode = exitCodeOf(error, process.argv.includes('--json'));
}

/** @param json True if a failure must be reported as a JSON document too. */
function exitCodeOf(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof ConfigError) {
    if (json) output.out(JSON.stringify({ ok: false, problems: error.problems }));
    else output.err(error.message);
    return EXIT_CONFIG;
  }
  if (error instanceof OperatingError) {
    const { code, message } = error;
    if (json) output.out(JSON.stringify({ ok: false, code, error: message }));
    else output.err(`andon: ${message} (${code})`);
    // A restart does not help: systemd must not try again.
    return code === 'database-newer' ? EXIT_CONFIG : 1;
  }
  const bug =
    error instanceof InvariantError ? 'an invariant of andon is broken' : 'andon failed in a way it should not';
  output.err(`andon: ${bug}: ${error instanceof Error ? (error.stack ?? error.message) : errorMessage(error)}`);
  return EXIT_BUG;
}

function commands(): Command {
  const program = new Command('andon')
    .description('The signal lamp over the line, with a mind: reads machines, judges them with models, raises alarms.')
    .version(packageVersion)
    .exitOverride()
    .showHelpAfterError('(andon --help shows the commands)')
    .configureHelp({ sortSubcommands: false });

  program
    .command('demo')
    .description('the main job with nothing else installed: a simulated plant, a broker, and the agent')
    .option('--seconds <n>', 'stop after this time', positiveNumber)
    .addOption(jsonOption)
    .action(runs(demoCommand));
  program
    .command('run')
    .description('the daemon; stops on SIGTERM, reads its configuration again on SIGHUP')
    .addOption(configOption)
    .option('--once', 'print one window of every watch and exit; stores and publishes nothing')
    .action(runs(runCommand));
  subcommand(program, 'check', 'every problem of a configuration at once, with line and suggestion')
    .argument('[file]', 'configuration file')
    .option('--strict', 'exit 1 also for warnings, such as a model that cannot be used')
    .option('--live', 'also connect to each device and broker, and read each tag once')
    .action(runs(checkCommand));
  subcommand(program, 'plan', 'what would run: requests, bus time against the scan interval, windows, models')
    .argument('[file]', 'configuration file')
    .action(runs(planCommand));
  addCsvOptions(program.command('simulate'))
    .argument('<csv>', "a historian's CSV")
    .description('replays a CSV as a live Modbus device and/or MQTT publisher')
    .option('--modbus <url>', 'serve as a Modbus device on tcp://host:port (port 0 takes a free one)')
    .option('--mqtt <url>', 'publish to a broker, one topic a column')
    .option('--speed <n>', 'times as fast as recorded', positiveNumber, 1)
    .option('--loop', 'restart at the end')
    .action(runs(simulateCommand));
  addProbeCommand(program);
  addTrainingCommands(program);
  addModelsCommands(program);
  addOutboxCommands(program);
  addInitCommand(program);
  addScanCommand(program);
  addTagsCommands(program);
  addUnitCommand(program);
  addImportCommand(program);
  addAlarmCommands(program);
  addAccessCommands(program);
  addBackupCommands(program);
  program
    .command('status')
    .description("the running agent's health")
    .option('-c, --config <file>', 'configuration of the agent, for its address and token')
    .option('--url <url>', 'of the agent; default: http://127.0.0.1:8080')
    .option('--token-file <file>', 'file with the token of http.token')
    .addOption(jsonOption)
    .action(runs(statusCommand));
  program
    .command('schema')
    .description("the configuration's JSON Schema")
    .action(() => void schemaCommand(output));
  addCompletionCommand(program);
  return program;
}

function addOutboxCommands(program: Command): void {
  const outbox = program.command('outbox').description('records on the box');
  subcommand(outbox, 'stats', 'records waiting for each uplink, and hours until the outbox is full').action(
    runs(outboxStatsCommand),
  );
  outbox
    .command('export')
    .description('records as JSON lines, oldest first')
    .addOption(configOption)
    .option('--from <sequence>', 'first sequence number', positiveNumber)
    .addOption(new Option('--kind <kinds...>', 'only these').choices([...recordKinds]))
    .action(runs(outboxExportCommand));

  subcommand(outbox, 'rewind', 'makes an uplink send delivered records again; the agent must be stopped')
    .requiredOption('--uplink <id>', 'uplink of the configuration')
    .requiredOption('--from <sequence|time>', 'first record: its sequence number, or an ISO time')
    .action(runs(outboxRewindCommand));
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value)))
    throw new InvalidArgumentError(`expected a number above 0, not '${text}'`);
  return value;
}
