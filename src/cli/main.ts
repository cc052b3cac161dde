import { Command, CommanderError, Option } from 'commander';
import { recordKinds } from '../domain/record/record.ts';
import { packageVersion } from '../platform/package-version.ts';
import { ConfigError, errorMessage, InvariantError, OperatingError } from '../platform/errors.ts';
import { checkCommand } from './check-command.ts';
import { demoCommand } from './demo/demo-command.ts';
import { addModelsCommands } from './models/models-commands.ts';
import { outboxExportCommand, type OutboxExportOptions, outboxStatsCommand } from './outbox-command.ts';
import { legible, type Output } from './output/output.ts';
import { planCommand } from './plan-command.ts';
import { addProbeCommand } from './probe-command.ts';
import { runCommand } from './run-command.ts';
import { schemaCommand } from './schema-command.ts';
import { simulateCommand, type SimulateOptions } from './demo/simulate-command.ts';
import { statusCommand } from './status-command.ts';
import { addTrainingCommands } from './training/training-commands.ts';

/** sysexits.h, as interface of every command: 0 done, 1 the check found something, and these. */
const EXIT_USAGE = 64;
const EXIT_BUG = 70;
const EXIT_CONFIG = 78;

const output: Output = {
  out: (text) => process.stdout.write(lines(text)),
  err: (text) => process.stderr.write(lines(text)),
};

// A reader that closes the pipe early (`| head`) is not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : EXIT_BUG));

process.exitCode = await main(process.argv);

async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = commands((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...argv]);
    return exitCode;
  } catch (error) {
    return exitCodeOf(error, argv.includes('--json'));
  }
}

function lines(text: string): string {
  return legible(text.endsWith('\n') ? text : `${text}\n`);
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

/** @param done Takes the exit code of the command that ran. */
function commands(done: (exitCode: number) => void): Command {
  const program = new Command('andon')
    .description('The signal lamp over the line, with a mind: reads machines, judges them with models, raises alarms.')
    .version(packageVersion)
    .exitOverride()
    .showHelpAfterError('(andon --help shows the commands)')
    .configureHelp({ sortSubcommands: false });
  const config = () => new Option('-c, --config <file>', 'configuration file').default('/etc/andon/andon.yaml');
  const json = () => new Option('--json', 'one JSON document and nothing else on standard output');

  program
    .command('demo')
    .description('the main job with nothing else installed: a simulated plant, a broker, and the agent')
    .option('--seconds <n>', 'stop after this time', positiveNumber)
    .addOption(json())
    .action(async (options: { seconds?: number; json?: boolean }) => done(await demoCommand(options, output)));
  program
    .command('run')
    .description('the daemon; stops on SIGTERM, reads its configuration again on SIGHUP')
    .addOption(config())
    .action(async (options: { config: string }) => done(await runCommand(options.config)));
  program
    .command('check')
    .argument('<file>', 'configuration file')
    .description('every problem of a configuration at once, with line and suggestion')
    .option('--strict', 'exit 1 also for warnings, such as a model that cannot be used')
    .addOption(json())
    .action(async (file: string, options: { json?: boolean; strict?: boolean }) =>
      done(await checkCommand(file, { json: options.json === true, strict: options.strict === true }, output)),
    );
  program
    .command('plan')
    .argument('<file>', 'configuration file')
    .description('what would run: requests, bus time against the scan interval, windows, models')
    .addOption(json())
    .action(async (file: string, options: { json?: boolean }) =>
      done(await planCommand(file, { json: options.json === true }, output)),
    );
  program
    .command('simulate')
    .argument('<csv>', "a historian's CSV")
    .description('replays a CSV as a live Modbus device and/or MQTT publisher')
    .option('--modbus <url>', 'serve as a Modbus device on tcp://host:port (port 0 takes a free one)')
    .option('--mqtt <url>', 'publish to a broker, one topic a column')
    .option('--speed <n>', 'times as fast as recorded', positiveNumber, 1)
    .option('--loop', 'restart at the end')
    .option('--time <column>', 'the time column, if its name is not a usual one')
    .action(async (csv: string, options: SimulateOptions) => done(await simulateCommand(csv, options, output)));
  addProbeCommand(program, output, done, json);
  addTrainingCommands(program, { output, done, config, json });
  addModelsCommands(program, { output, done, config, json });
  addOutboxCommands(program, done, config, json);
  program
    .command('status')
    .description("the running agent's health")
    .option('--url <url>', 'of the agent', 'http://127.0.0.1:8080')
    .option('--token-file <file>', 'file with the token of http.token')
    .addOption(json())
    .action(async (options: { url: string; tokenFile?: string; json?: boolean }) =>
      done(await statusCommand(options, output)),
    );
  program
    .command('schema')
    .description("the configuration's JSON Schema")
    .action(() => done(schemaCommand(output)));
  return program;
}

function addOutboxCommands(
  program: Command,
  done: (exitCode: number) => void,
  config: () => Option,
  json: () => Option,
): void {
  const outbox = program.command('outbox').description('records on the box');
  outbox
    .command('stats')
    .description('records waiting for each uplink, and hours until the outbox is full')
    .addOption(config())
    .addOption(json())
    .action(async (options: { config: string; json?: boolean }) => done(await outboxStatsCommand(options, output)));
  outbox
    .command('export')
    .description('records as JSON lines, oldest first')
    .addOption(config())
    .option('--from <sequence>', 'first sequence number', positiveNumber)
    .addOption(new Option('--kind <kinds...>', 'only these').choices([...recordKinds]))
    .action(async (options: OutboxExportOptions) => done(await outboxExportCommand(options, output)));
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value)))
    throw new CommanderError(EXIT_USAGE, 'commander.invalidArgument', `expected a number above 0, not '${text}'`);
  return value;
}
