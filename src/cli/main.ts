import { Command, CommanderError } from 'commander';
import { packageVersion } from '../platform/package-files.ts';
import { ConfigError, errorMessage, InvariantError, OperatingError } from '../platform/errors.ts';
import { defineCommands } from './commands.ts';
import { EXIT_BUG, EXIT_CONFIG, EXIT_USAGE, output } from './output/command.ts';

// A reader that closes the pipe early (`| head`) is not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : EXIT_BUG));

const program = new Command('andon')
  .description('Edge inference agent: reads machines, judges them with ONNX models, raises alarms.')
  .version(packageVersion)
  .exitOverride()
  .showHelpAfterError('(andon --help shows the commands)')
  .configureHelp({ sortSubcommands: false });

try {
  await defineCommands(program, process.argv.slice(2));
  await program.parseAsync(process.argv);
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
