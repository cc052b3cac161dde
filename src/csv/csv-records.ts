import { CsvError, parse } from 'csv-parse';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import { isAnyNumber } from './csv-numbers.ts';
import { csvText } from './csv-text.ts';

export const csvSeparators = ['\t', ';', '|', ','] as const;

export type CsvSeparator = (typeof csvSeparators)[number];

/** Longest record in bytes; thousands of columns fit. */
const RECORD_BYTES_MAX = 1_000_000;
/** Most lines of a text in one cell. */
const CELL_LINES_MAX = 5;

export type CsvRecord = {
  /** Without surrounding white space. */
  readonly cells: readonly string[];
  /** Last line of the record in the file, from 1. */
  readonly line: number;
  /** First line of the record; a quoted text may have several. */
  readonly firstLine: number;
  /** Bytes of the file up to the end of this record. */
  readonly bytes: number;
};

/**
 * Reads the records of a file on demand; memory use does not depend on the file's length.
 *
 * Skips blank lines. A quoted cell may contain separators and doubled quotation marks. Line breaks in a short text are read as
 * spaces. With a separator or a number in it, they are an error: one missing quotation mark must not join two rows.
 *
 * @throws {OperatingError} 'csv-unreadable' | 'csv-row-invalid' | 'csv-line-too-long' (reject).
 */
export async function* csvRecords(path: string, separator: CsvSeparator): AsyncGenerator<CsvRecord, void> {
  const records: Omit<CsvRecord, 'firstLine'>[] = [];
  const parser = parse({
    delimiter: separator,
    record_delimiter: ['\r\n', '\n', '\r'],
    max_record_size: RECORD_BYTES_MAX,
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    // A line of tabs is blank too.
    skip_records_with_empty_values: separator === '\t',
    // White space around a quoted cell.
    trim: true,
    // The parser's own output would lose the records before an error.
    on_record: (cells: string[], { lines, bytes }) => {
      records.push({ cells: cells.map(plainText), line: lines, bytes });
      return null;
    },
  });
  // Errors are also passed to the callbacks of `write` and `end`.
  parser.on('error', () => undefined);
  let line = 1;
  /** The parser counts the two characters of a line break in quotes as two lines. */
  let surplus = 0;
  const parsed = function* () {
    for (const record of records.splice(0)) {
      const breaks = record.cells.filter((cell) => cell.includes('\n'));
      if (breaks.some((cell) => !isText(cell, separator))) throw quoteNotClosed(path, line);
      const cells = breaks.length === 0 ? record.cells : record.cells.map((cell) => cell.replaceAll(/\s*\n\s*/g, ' '));
      const height = breaks.reduce((sum, cell) => sum + cell.split('\n').length - 1, 1);
      surplus += breaks.reduce((sum, cell) => sum + cell.split('\r\n').length - 1, 0);
      const last = record.line - surplus;
      line = last + 1;
      yield { ...record, cells, line: last, firstLine: last - height + 1 };
    }
  };
  try {
    for await (const chunk of csvText(path)) {
      const error = await new Promise((resolve) => void parser.write(chunk, resolve));
      yield* parsed();
      if (error instanceof Error) throw error;
    }
    const error = await new Promise((resolve) => void parser.end(resolve));
    yield* parsed();
    if (error instanceof Error) throw error;
  } catch (error) {
    if (error instanceof OperatingError) throw error;
    if (!(error instanceof CsvError))
      throw new OperatingError('csv-unreadable', 'reject', `${path}: ${errorMessage(error)}`, { cause: error });
    if (error.code !== 'CSV_MAX_RECORD_SIZE') throw quoteNotClosed(path, line, error);
    throw new OperatingError(
      'csv-line-too-long',
      'reject',
      `${path}:${line}: the row is longer than ${RECORD_BYTES_MAX} bytes. Check for a quotation mark that is not closed.`,
      { cause: error },
    );
  }
}

/** Spreadsheets write a number or a date that must stay as it is as ="12.5" or '12.5. */
function plainText(cell: string): string {
  return cell
    .trim()
    .replace(/^="(.*)"$/, '$1')
    .replace(/^'(?=[+-]?\d)/, '');
}

function isText(cell: string, separator: CsvSeparator): boolean {
  const lines = cell.split('\n');
  return !cell.includes(separator) && lines.length <= CELL_LINES_MAX && !lines.some((line) => isAnyNumber(line.trim()));
}

function quoteNotClosed(path: string, line: number, cause?: unknown): OperatingError {
  const message = `${path}:${line}: a quotation mark is not closed on its line`;
  return new OperatingError('csv-row-invalid', 'reject', message, { cause });
}
