import { type Command, InvalidArgumentError, Option } from 'commander';
import { legible, type Output } from './output.ts';

export const output: Output = {
  out: (text) => process.stdout.write(lines(text)),
  err: (text) => process.stderr.write(lines(text)),
};

function lines(text: string): string {
  return legible(text.endsWith('\n') ? text : `${text}\n`);
}

export const DEFAULT_CONFIG = '/etc/andon/andon.yaml';
export const configOption = new Option('-c, --config <file>', 'configuration file').default(DEFAULT_CONFIG);
export const jsonOption = new Option('--json', 'one JSON document and nothing else on standard output');

/** Adds a command with the options `--config` and `--json`. */
export function subcommand(parent: Command, name: string, description: string): Command {
  return withConfig(parent.command(name).description(description));
}

/** Adds the options `--config` and `--json`. */
export function withConfig(command: Command): Command {
  return command.addOption(configOption).addOption(jsonOption);
}

/**
 * Returns the action of a command. Its result becomes the exit code of the process.
 *
 * @param command Receives the arguments, the options and the output.
 */
export function runs(command: (...args: never[]) => number | Promise<number>) {
  return async (...args: readonly unknown[]): Promise<void> => {
    // Commander passes the arguments and options that were declared with the command, and then the command itself.
    process.exitCode = await command(...([...args.slice(0, -1), output] as never[]));
  };
}

/** Parser of an option's value. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError(`expected a number above 0, not '${text}'`);
}

/** Parser of an option's value. */
export function finiteNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value)) return value;
  throw new InvalidArgumentError(`expected a number, not '${text}'`);
}
