import { parse } from 'csv-parse/sync';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CsvNotation } from '../../csv/csv-columns.ts';
import { timeUnits } from '../../domain/time-unit.ts';
import { isTimeZone } from '../../domain/time-zone.ts';

/** Options of every command that reads a CSV. */
export type CsvCommandOptions = Pick<
  CsvNotation,
  'decimal' | 'timeUnit' | 'timeZone' | 'dateOrder' | 'headerLine' | 'missing'
> & {
  readonly time?: string;
};

/** Adds the options that decide what a file leaves open. */
export function addCsvOptions(command: Command): Command {
  return command
    .option('--time <column>', 'time column, if its name is not a usual one')
    .addOption(new Option('--decimal <sign>', 'decimal separator, if the columns do not prove it').choices(['.', ',']))
    .addOption(new Option('--time-unit <unit>', 'unit of times that are numbers').choices(timeUnits))
    .addOption(new Option('--time-zone <zone>', 'zone of times without one; default UTC').argParser(timeZone))
    .addOption(new Option('--date-order <order>', 'order of 03/04/2026').choices(['dmy', 'mdy']))
    .addOption(new Option('--header-line <n>', 'line of the header in the file, from 1').argParser(lineNumber))
    .addOption(
      new Option('--missing <words>', `further words for a missing value: word,"word, with a comma"`).argParser(
        wordList,
      ),
    );
}

export function notationOf({
  missing,
  decimal,
  timeUnit,
  timeZone: zone,
  dateOrder,
  headerLine,
}: CsvCommandOptions): CsvNotation {
  return { decimal, timeUnit, timeZone: zone, dateOrder, headerLine, missing };
}

/** Words with a comma are in quotation marks, as in a CSV. */
function wordList(text: string): readonly string[] {
  const [words] = parse(text, { relax_quotes: true, trim: true });
  return words ?? [];
}

function timeZone(text: string): string {
  if (isTimeZone(text)) return text;
  throw new InvalidArgumentError('Expected a zone such as Europe/Berlin or UTC.');
}

function lineNumber(text: string): number {
  const line = Number(text);
  if (Number.isInteger(line) && line > 0) return line;
  throw new InvalidArgumentError('Expected a line number from 1.');
}
