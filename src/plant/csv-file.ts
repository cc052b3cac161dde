import { OperatingError } from '../platform/errors.ts';
import type { CsvFormat } from './csv-cells.ts';
import { detectFormat, parseNumber, parseTimeMs, splitCells } from './csv-cells.ts';
import type { CsvLine } from './csv-lines.ts';
import { csvLines } from './csv-lines.ts';

/** Names that a time column goes by; compared in lower case. */
const timeNames: ReadonlySet<string> = new Set(['time', 'timestamp', 'datetime', 'ts']);
/** Rows looked at to find out how the file is written and which columns hold numbers. */
const ROWS_LOOKED_AT = 1000;
/** Characters of them at most, where rows are very long. */
const CHARACTERS_LOOKED_AT = 4_000_000;
/** Most columns that are read; as many as a Modbus device has room for, with some to spare. */
const COLUMNS_MAX = 10_000;

export type CsvOptions = {
  /** Header of the time column; undefined looks for `time`, `timestamp`, `datetime` or `ts`. */
  readonly timeColumn?: string | undefined;
  /** Headers to read, in this order; undefined reads every column that holds numbers. */
  readonly columns?: readonly string[] | undefined;
  /** Headers of cells wanted as they are written, such as labels. */
  readonly texts?: readonly string[] | undefined;
};

/** How a file is laid out; found once, from its header and first rows. */
export type CsvLayout = {
  readonly path: string;
  readonly format: CsvFormat;
  /** Headers of the columns that are read. */
  readonly columns: readonly string[];
  readonly timeColumn: string | undefined;
  /** Usual time between rows; undefined without a time column, or where the first rows do not tell. */
  readonly intervalMs: number | undefined;
  /** Headers of columns that hold text and are left out. */
  readonly textColumns: readonly string[];
};

export type CsvRow = {
  /** Counts from 0 after the header. */
  readonly row: number;
  /** Line in the file, from 1. */
  readonly line: number;
  /** Undefined in a file without a time column. */
  readonly timeMs: number | undefined;
  /** As the file writes it; '' without a time column. */
  readonly timeText: string;
  /** The cells that `texts` asked for. */
  readonly texts: readonly string[];
  /** One a column; NaN where the file has no value. */
  readonly values: Float64Array;
};

/** A historian's export. Rows are read as they are asked for, each time anew, and never held. */
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
   * Reads header and first rows.
   *
   * @throws {OperatingError} 'csv-unreadable' | 'csv-empty' | 'csv-header-invalid' | 'csv-line-too-long' (reject).
   */
  static async open(path: string, options: CsvOptions = {}): Promise<CsvFile> {
    const [header, ...rows] = await firstLines(path);
    if (header === undefined || rows.length === 0)
      throw new OperatingError('csv-empty', 'reject', `${path} has ${header === undefined ? 'no header' : 'no rows'}`);
    const format = detectFormat(
      header.text,
      rows.map(({ text }) => text),
    );
    const headers = splitCells(header.text, format.separator) ?? [];
    checkHeaders(path, headers, format);
    const timeColumn = options.timeColumn ?? headers.find((name) => timeNames.has(name.toLowerCase()));
    const others = headers.filter((name) => name !== timeColumn && name !== '');
    const isText = (name: string) => holdsText(rows, headers.indexOf(name), format);
    const { texts = [] } = options;
    const columns = options.columns ?? others.filter((name) => !isText(name));
    for (const name of [...columns, ...texts, ...(timeColumn === undefined ? [] : [timeColumn])]) {
      if (!headers.includes(name))
        throw headerInvalid(path, `there is no column '${name}'; the header has: ${headers.join(', ')}`);
    }
    if (columns.length === 0) throw headerInvalid(path, 'no column holds numbers');
    const textColumns = others.filter((name) => !columns.includes(name) && isText(name));
    const timeCells = rows.map(({ text }) => splitCells(text, format.separator)?.[headers.indexOf(timeColumn ?? '')]);
    const intervalMs = medianInterval(timeCells.map((cell) => parseTimeMs(cell ?? '')));
    return new CsvFile({ path, format, columns, timeColumn, intervalMs, textColumns }, headers, texts);
  }

  /** @throws {OperatingError} 'csv-row-invalid' | 'csv-value-invalid' | 'csv-unreadable' | 'csv-line-too-long' (reject). */
  async *rows(): AsyncGenerator<CsvRow, void, undefined> {
    const { path, columns, timeColumn } = this.layout;
    const places = columns.map((name) => this.#headers.indexOf(name));
    const textPlaces = this.#texts.map((name) => this.#headers.indexOf(name));
    const timePlace = timeColumn === undefined ? undefined : this.#headers.indexOf(timeColumn);
    // The first line that is not blank is the header.
    let row = -2;
    for await (const { number: line, text } of csvLines(path)) {
      row += 1;
      if (row < 0) continue;
      const cells = this.#cells(line, text);
      const timeText = timePlace === undefined ? '' : (cells[timePlace] ?? '');
      const timeMs = timePlace === undefined ? undefined : this.#time(line, timeText);
      const texts = textPlaces.map((place) => cells[place] ?? '');
      const values = Float64Array.from(places, (place) => this.#number(line, place, cells[place] ?? ''));
      yield { row, line, timeMs, timeText, texts, values };
    }
  }

  #cells(line: number, text: string): readonly string[] {
    const cells = splitCells(text, this.layout.format.separator);
    if (cells?.length === this.#headers.length) return cells;
    const found = cells === undefined ? 'a quotation mark is left open' : `${cells.length} cells`;
    throw new OperatingError(
      'csv-row-invalid',
      'reject',
      `${this.layout.path}:${line}: ${found}; the header has ${this.#headers.length} columns`,
    );
  }

  #time(line: number, cell: string): number {
    const timeMs = parseTimeMs(cell);
    if (timeMs !== undefined) return timeMs;
    throw this.#valueInvalid(line, this.layout.timeColumn ?? '', cell, 'a time such as 2026-01-31T23:59:59Z');
  }

  #number(line: number, place: number, cell: string): number {
    const value = parseNumber(cell, this.layout.format.decimal);
    if (value !== undefined) return value;
    const kind = `a number with a decimal ${this.layout.format.decimal === '.' ? 'point' : 'comma'}`;
    throw this.#valueInvalid(line, this.#headers[place] ?? '', cell, kind);
  }

  #valueInvalid(line: number, column: string, cell: string, expected: string): OperatingError {
    const found = JSON.stringify(cell.slice(0, 80));
    const message = `${this.layout.path}:${line}: column '${column}' holds ${found}, expected ${expected}`;
    return new OperatingError('csv-value-invalid', 'reject', message);
  }
}

async function firstLines(path: string): Promise<readonly CsvLine[]> {
  const lines: CsvLine[] = [];
  let characters = 0;
  for await (const line of csvLines(path)) {
    lines.push(line);
    characters += line.text.length;
    if (lines.length > ROWS_LOOKED_AT || (lines.length > 1 && characters > CHARACTERS_LOOKED_AT)) break;
  }
  return lines;
}

function checkHeaders(path: string, headers: readonly string[], { decimal }: CsvFormat): void {
  if (headers.every((name) => parseNumber(name, decimal) !== undefined))
    throw headerInvalid(path, 'the first line holds numbers where the names of the columns should be');
  if (headers.length > COLUMNS_MAX)
    throw headerInvalid(path, `${headers.length} columns; at most ${COLUMNS_MAX} are read`);
  const twice = headers.find((name, index) => name !== '' && headers.indexOf(name) !== index);
  if (twice !== undefined) throw headerInvalid(path, `column '${twice}' is there twice`);
}

function headerInvalid(path: string, problem: string): OperatingError {
  return new OperatingError('csv-header-invalid', 'reject', `${path}:1: ${problem}`);
}

/** A column of text has no number in the rows looked at; one that is empty there may well get numbers later. */
function holdsText(rows: readonly CsvLine[], place: number, format: CsvFormat): boolean {
  const values = rows.map(({ text }) => parseNumber(splitCells(text, format.separator)?.[place] ?? '', format.decimal));
  return values.includes(undefined) && !values.some((value) => value !== undefined && !Number.isNaN(value));
}

function medianInterval(timesMs: readonly (number | undefined)[]): number | undefined {
  const intervals = timesMs
    .map((timeMs, row) => (timeMs ?? Number.NaN) - (timesMs[row - 1] ?? Number.NaN))
    .filter((intervalMs) => intervalMs > 0)
    .toSorted((a, b) => a - b);
  return intervals[Math.floor((intervals.length - 1) / 2)];
}
