import { type Command, InvalidArgumentError, Option } from 'commander';
import type { AddressRange } from '../../sources/modbus/probe/modbus-scan.ts';
import { legible, type Output } from './output.ts';

// Exit codes of sysexits.h, as interface of every command; 0: done, 1: the check found something.
export const EXIT_USAGE = 64;
export const EXIT_BUG = 70;
/** systemd does not restart a unit that ends with it. */
export const EXIT_CONFIG = 78;

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

/** Returns the parser of an option with a number or a range: 3, 0-9. @param countMax Maximum length of a range. */
export function numberRange(least: number, most: number, countMax = Infinity): (text: string) => AddressRange {
  return (text) => {
    const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
    const [first, last] = [Number(from), Number(to)];
    if (from === undefined || first < least || last < first || last > most)
      throw new InvalidArgumentError(`expected numbers such as ${least}-${most}`);
    if (last - first + 1 > countMax) throw new InvalidArgumentError(`at most ${countMax} at a time`);
    return { first, last };
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
