import { OperatingError } from '../platform/errors.ts';
import { type CsvFormat, detectDecimal, parseNumber, parseTimeMs } from './csv-cells.ts';
import { csvRecords } from './csv-records.ts';

const SEPARATORS = ['\t', ';', ','] as const;
/** Header names of a time column; compared in lower case. */
const TIME_NAMES: ReadonlySet<string> = new Set(['time', 'timestamp', 'datetime', 'ts']);
/** Number of rows that are sampled to detect the decimal separator and the columns of numbers. */
const SAMPLE_ROWS = 1000;
/** Limit of the sample in a file with very long rows. */
const SAMPLE_BYTES_MAX = 4_000_000;
/** Number of columns that are read. A Modbus device has fewer registers than that. */
const COLUMNS_MAX = 10_000;

export type CsvOptions = {
  /** Header of the time column; undefined selects `time`, `timestamp`, `datetime` or `ts`. */
  readonly timeColumn?: string | undefined;
  /** Headers to read, in this order; undefined reads every column of numbers. */
  readonly columns?: readonly string[] | undefined;
  /** Headers of cells to return as text, such as labels. */
  readonly texts?: readonly string[] | undefined;
};

/** Layout of a file, detected from its header and first rows. */
export type CsvLayout = {
  readonly path: string;
  readonly format: CsvFormat;
  /** Headers of the columns that are read. */
  readonly columns: readonly string[];
  readonly timeColumn: string | undefined;
  /** Median time between rows; undefined without times in the first rows. */
  readonly intervalMs: number | undefined;
  /** Headers of text columns, which are not read. */
  readonly textColumns: readonly string[];
};

export type CsvRow = {
  /** Counts from 0 after the header. */
  readonly row: number;
  /** Line in the file, from 1. */
  readonly line: number;
  /** Undefined in a file without a time column. */
  readonly timeMs: number | undefined;
  /** As written in the file; '' without a time column. */
  readonly timeText: string;
  /** Cells of `CsvOptions.texts`. */
  readonly texts: readonly string[];
  /** One per column; NaN for a missing value. */
  readonly values: Float64Array;
};

/** A historian's export. Each call of `rows` reads the file again; rows are not kept in memory. */
export class CsvFile {
  readonly layout: CsvLayout;
  readonly #headers: readonly string[];
  readonly #texts: readonly string[];

  private constructor(layout: CsvLayout, headers: readonly string[], texts: readonly string[]) {
    this.layout = layout;
    this.#headers = headers;
    this.#texts = texts;
  }

  /**
   * Reads the header and the first rows.
   *
   * @throws {OperatingError} 'csv-unreadable' | 'csv-empty' | 'csv-header-invalid' | 'csv-row-invalid' | 'csv-line-too-long' (reject).
   */
  static async open(path: string, options: CsvOptions = {}): Promise<CsvFile> {
    const { separator, headers } = await readHeader(path);
    const sample = await readSample(path, separator);
    const format: CsvFormat = { separator, decimal: detectDecimal(separator, sample) };
    checkHeaders(path, headers, format);
    const timeColumn = options.timeColumn ?? headers.find((name) => TIME_NAMES.has(name.toLowerCase()));
    const others = headers.filter((name) => name !== timeColumn && name !== '');
    const isText = (name: string) => holdsText(sample, headers.indexOf(name), format);
    const { texts = [] } = options;
    const columns = options.columns ?? others.filter((name) => !isText(name));
    for (const name of [...columns, ...texts, ...(timeColumn === undefined ? [] : [timeColumn])]) {
      if (!headers.includes(name))
        throw headerInvalid(path, `there is no column '${name}'; the header has: ${headers.join(', ')}`);
    }
    if (columns.length === 0) throw headerInvalid(path, 'no column holds numbers');
    const textColumns = others.filter((name) => !columns.includes(name) && isText(name));
    const timeIndex = headers.indexOf(timeColumn ?? '');
    const intervalMs = medianInterval(sample.map((cells) => parseTimeMs(cells[timeIndex] ?? '')));
    return new CsvFile({ path, format, columns, timeColumn, intervalMs, textColumns }, headers, texts);
  }

  /** @throws {OperatingError} 'csv-row-invalid' | 'csv-value-invalid' | 'csv-unreadable' | 'csv-line-too-long' (reject). */
  async *rows(): AsyncGenerator<CsvRow, void, undefined> {
    const { path, columns, timeColumn, format } = this.layout;
    const columnIndexes = columns.map((name) => this.#headers.indexOf(name));
    const textIndexes = this.#texts.map((name) => this.#headers.indexOf(name));
    const timeIndex = timeColumn === undefined ? undefined : this.#headers.indexOf(timeColumn);
    // The first record is the header.
    let row = -2;
    for await (const { line, cells } of csvRecords(path, format.separator)) {
      row += 1;
      if (row < 0) continue;
      this.#checkLength(line, cells);
      const timeText = timeIndex === undefined ? '' : (cells[timeIndex] ?? '');
      const timeMs = timeIndex === undefined ? undefined : this.#time(line, timeText);
      const texts = textIndexes.map((index) => cells[index] ?? '');
      const values = Float64Array.from(columnIndexes, (index) => this.#number(line, index, cells[index] ?? ''));
      yield { row, line, timeMs, timeText, texts, values };
    }
  }

  #checkLength(line: number, cells: readonly string[]): void {
    if (cells.length === this.#headers.length) return;
    throw new OperatingError(
      'csv-row-invalid',
      'reject',
      `${this.layout.path}:${line}: ${cells.length} cells; the header has ${this.#headers.length} columns`,
    );
  }

  #time(line: number, cell: string): number {
    const timeMs = parseTimeMs(cell);
    if (timeMs !== undefined) return timeMs;
    throw this.#valueInvalid(line, this.layout.timeColumn ?? '', cell, 'a time such as 2026-01-31T23:59:59Z');
  }

  #number(line: number, index: number, cell: string): number {
    const value = parseNumber(cell, this.layout.format.decimal);
    if (value !== undefined) return value;
    const kind = `a number with a decimal ${this.layout.format.decimal === '.' ? 'point' : 'comma'}`;
    throw this.#valueInvalid(line, this.#headers[index] ?? '', cell, kind);
  }

  #valueInvalid(line: number, column: string, cell: string, expected: string): OperatingError {
    const found = JSON.stringify(cell.slice(0, 80));
    const message = `${this.layout.path}:${line}: column '${column}' holds ${found}, expected ${expected}`;
    return new OperatingError('csv-value-invalid', 'reject', message);
  }
}

/** Cells of the first rows. */
type CsvSample = readonly (readonly string[])[];

type CsvHeader = { readonly separator: CsvFormat['separator']; readonly headers: readonly string[] };

/** Selects the separator that splits the header into the most columns. */
async function readHeader(path: string): Promise<CsvHeader> {
  let best: CsvHeader | undefined;
  let failure: unknown;
  for (const separator of SEPARATORS) {
    try {
      for await (const { cells } of csvRecords(path, separator)) {
        if (best === undefined || cells.length > best.headers.length) best = { separator, headers: cells };
        break;
      }
    } catch (error) {
      failure = error;
    }
  }
  if (best === undefined && failure !== undefined) throw failure;
  if (best === undefined) throw new OperatingError('csv-empty', 'reject', `${path} has no header`);
  return best;
}

/** Reads the first rows. `rows` reports a broken row after them. */
async function readSample(path: string, separator: CsvFormat['separator']): Promise<CsvSample> {
  const records: (readonly string[])[] = [];
  try {
    for await (const { cells, bytes } of csvRecords(path, separator)) {
      records.push(cells);
      if (records.length > SAMPLE_ROWS || (records.length > 1 && bytes > SAMPLE_BYTES_MAX)) break;
    }
  } catch (error) {
    if (records.length < 2) throw error;
  }
  if (records.length < 2) throw new OperatingError('csv-empty', 'reject', `${path} has no rows`);
  return records.slice(1);
}

function checkHeaders(path: string, headers: readonly string[], { decimal }: CsvFormat): void {
  if (headers.every((name) => parseNumber(name, decimal) !== undefined))
    throw headerInvalid(path, 'the first line holds numbers; expected the names of the columns');
  if (headers.length > COLUMNS_MAX)
    throw headerInvalid(path, `${headers.length} columns; at most ${COLUMNS_MAX} are read`);
  const duplicate = headers.find((name, index) => name !== '' && headers.indexOf(name) !== index);
  if (duplicate !== undefined) throw headerInvalid(path, `column '${duplicate}' occurs twice`);
}

function headerInvalid(path: string, problem: string): OperatingError {
  return new OperatingError('csv-header-invalid', 'reject', `${path}:1: ${problem}`);
}

/** A text column has no number in the sample. A column that is empty there may hold numbers later. */
function holdsText(sample: CsvSample, index: number, { decimal }: CsvFormat): boolean {
  const values = sample.map((cells) => parseNumber(cells[index] ?? '', decimal));
  return values.includes(undefined) && !values.some((value) => value !== undefined && !Number.isNaN(value));
}

function medianInterval(timesMs: readonly (number | undefined)[]): number | undefined {
  const intervals = timesMs
    .map((timeMs, row) => (timeMs ?? Number.NaN) - (timesMs[row - 1] ?? Number.NaN))
    .filter((intervalMs) => intervalMs > 0)
    .toSorted((a, b) => a - b);
  return intervals[Math.floor((intervals.length - 1) / 2)];
}
