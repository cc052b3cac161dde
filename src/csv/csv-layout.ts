import { OperatingError } from '../platform/errors.ts';
import { isAnyNumber, isMissing } from './csv-numbers.ts';
import { type CsvRecord, csvRecords, type CsvSeparator, csvSeparators } from './csv-records.ts';
import { csvText } from './csv-text.ts';
import { timeColumnOf } from './csv-time-column.ts';
import { isTimeText } from './csv-times.ts';

/** Where the header and the rows of a file are. */
export type CsvHead = {
  readonly separator: CsvSeparator;
  /** Without empty names at the end. */
  readonly headers: readonly string[];
  /** Line of the header in the file, from 1. */
  readonly headerLine: number;
  /** Lines above the header, without `sep=`. */
  readonly preamble: number;
  /** Line of the last record above the rows: the header, or a row of units below it. */
  readonly lastHeadLine: number;
};

/** Records that are read to find the header. */
const HEAD_RECORDS = 200;
/** Rows of units and descriptions below a header. */
const UNIT_ROWS_MAX = 3;
const none: ReadonlySet<string> = new Set();

/**
 * Finds separator and header. `sep=;` in the first line sets the separator. Lines above the header have fewer cells than most
 * records; rows of units above and below it have neither a number nor a time, nor a name that is sought.
 *
 * @param headerLine Line of the header, if the user names it.
 * @param names Names of columns that the caller needs.
 * @throws {OperatingError} 'csv-unreadable' | 'csv-empty' | 'csv-header-invalid' (reject).
 */
export async function readHead(
  path: string,
  headerLine: number | undefined,
  names: readonly string[],
): Promise<CsvHead> {
  const named = await namedSeparator(path);
  const firstLine = Math.max(headerLine ?? 1, named === undefined ? 1 : 2);
  const candidates: Candidate[] = [];
  let failure: unknown;
  for (const separator of named === undefined ? csvSeparators : [named]) {
    try {
      const records = (await firstRecords(path, separator)).filter(({ line }) => line >= firstLine);
      const header = headerLine === undefined ? findHeader(records, names) : records[0];
      if (header !== undefined) candidates.push({ separator, records, header });
    } catch (error) {
      failure = error;
    }
  }
  const [best] = candidates.toSorted(byLikelihood);
  if (best === undefined && failure !== undefined) throw failure;
  if (best === undefined) throw new OperatingError('csv-empty', 'reject', `${path} has no header`);
  const { separator, header, records } = best;
  if (headerLine !== undefined && header.firstLine !== headerLine)
    throw invalid(path, headerLine, 'this line is blank: --header-line');
  if (areSpaces(best))
    throw invalid(
      path,
      header.line,
      `the columns are separated by spaces, expected ; , | or a tab: sed -E 's/ +/;/g' ${path} > new.csv writes semicolons`,
    );
  const lastHeadLine = lastUnitLine(records.slice(records.indexOf(header) + 1)) ?? header.line;
  return {
    separator,
    headers: used(header.cells),
    headerLine: header.line,
    preamble: header.firstLine - (named === undefined ? 1 : 2),
    lastHeadLine,
  };
}

type Candidate = {
  readonly separator: CsvSeparator;
  readonly records: readonly CsvRecord[];
  readonly header: CsvRecord;
};

/** Several columns before one, then the most cells that are values, then the header nearest to the top, then the most columns. */
function byLikelihood(a: Candidate, b: Candidate): number {
  const width = ({ header }: Candidate) => used(header.cells).length;
  return (
    Number(width(b) > 1) - Number(width(a) > 1) ||
    valueShare(b) - valueShare(a) ||
    a.header.line - b.header.line ||
    width(b) - width(a)
  );
}

/** Share of the cells below the header that are numbers, times or missing: a wrong separator leaves few. */
function valueShare({ records, header }: Candidate): number {
  const cells = records.slice(records.indexOf(header) + 1).flatMap((record) => used(record.cells));
  return cells.length === 0 ? 0 : cells.filter((cell) => isValue(cell) || isMissing(cell, none)).length / cells.length;
}

async function firstRecords(path: string, separator: CsvSeparator): Promise<readonly CsvRecord[]> {
  const records: CsvRecord[] = [];
  try {
    for await (const record of csvRecords(path, separator)) {
      records.push(record);
      if (records.length >= HEAD_RECORDS) break;
    }
  } catch (error) {
    // The rows report a broken record.
    if (records.length === 0) throw error;
  }
  return records;
}

/**
 * The first record that has as many cells as most records, and names; the first record if there is none. One with names that are
 * sought, or with a time column, is preferred: lines about the report and rows of units can be above the names.
 */
function findHeader(records: readonly CsvRecord[], names: readonly string[]): CsvRecord | undefined {
  const counts = Map.groupBy(records, ({ cells }) => used(cells).length);
  const [usual] = [...counts].toSorted(([a, { length: n }], [b, { length: m }]) => m - n || b - a)[0] ?? [0];
  const sought = ({ cells }: CsvRecord) => names.filter((name) => cells.includes(name)).length;
  const timed = ({ cells }: CsvRecord) => Number(timeColumnOf(cells) !== undefined);
  const named = records.filter(({ cells }) => used(cells).length >= usual && hasNames(cells));
  // A later line with a number is a row: in a file with one value a line, it has a name that is sought.
  const [best = records[0]] = named
    .filter(({ cells }, index) => index === 0 || !cells.some(isValue))
    .toSorted((a, b) => sought(b) - sought(a) || timed(b) - timed(a));
  return best;
}

/** True if the only column has the cells of several, with spaces between them. */
function areSpaces({ header, records }: Candidate): boolean {
  if (used(header.cells).length > 1) return false;
  const texts = records.slice(records.indexOf(header) + 1).map(({ cells }) => cells[0] ?? '');
  const rows = texts.map((text) => text.split(/\s+/));
  const [width = 1] = rows.map(({ length }) => length);
  return (
    width > 1 &&
    !texts.every(isValue) &&
    rows.every((cells) => cells.length === width && isAnyNumber(cells[width - 1] ?? ''))
  );
}

/** Line of the last row of units; undefined if the first record is a row of values. */
function lastUnitLine(records: readonly CsvRecord[]): number | undefined {
  const first = records.findIndex(({ cells }) => cells.some(isValue));
  return first > 0 && first <= UNIT_ROWS_MAX ? records[first - 1]?.line : undefined;
}

function hasNames(cells: readonly string[]): boolean {
  return !cells.some(isTimeText) && !used(cells).every((cell) => isValue(cell) || isMissing(cell, none));
}

function isValue(cell: string): boolean {
  return isAnyNumber(cell) || isTimeText(cell);
}

/** The cells up to the last one that is not empty. */
function used(cells: readonly string[]): readonly string[] {
  return cells.slice(0, cells.findLastIndex((cell) => cell !== '') + 1);
}

/**
 * Excel's `sep=;`.
 *
 * @throws {OperatingError} 'csv-header-invalid' (reject).
 */
async function namedSeparator(path: string): Promise<CsvSeparator | undefined> {
  const line = /^"?sep=(.)"?\r?\n/i.exec(await firstText(path));
  if (line === null) return undefined;
  const separator = csvSeparators.find((each) => each === line[1]);
  if (separator !== undefined) return separator;
  throw invalid(path, 1, `the separator is ${line[1]}, expected ; , | or a tab. Save the file with one of them`);
}

/** @returns '' if the file cannot be read. Reading the records reports it. */
async function firstText(path: string): Promise<string> {
  try {
    for await (const text of csvText(path)) return text;
  } catch {
    return '';
  }
  return '';
}

function invalid(path: string, line: number, problem: string): OperatingError {
  return new OperatingError('csv-header-invalid', 'reject', `${path}:${line}: ${problem}`);
}
