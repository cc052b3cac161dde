import { nearest } from '../domain/nearest-word.ts';
import { OperatingError } from '../platform/errors.ts';
import { CsvColumns, type CsvNotation } from './csv-columns.ts';
import { withoutFooter } from './csv-footer.ts';
import { type CsvHead, readHead } from './csv-layout.ts';
import { findNarrow, lacksTime, type Narrow, pivot } from './csv-narrow.ts';
import { type Decimal, isAnyNumber } from './csv-numbers.ts';
import { type CsvRecord, csvRecords, type CsvSeparator } from './csv-records.ts';
import type { CsvRow } from './csv-row.ts';
import { isGoodQuality, qualityColumnOf } from './csv-quality.ts';
import { timeColumnOf, timeColumnProblem } from './csv-time-column.ts';
import { isTimeText, type TimeOptions, TimeReader } from './csv-times.ts';

/** Number of rows that are sampled to detect the decimal separator and the columns of numbers. */
const SAMPLE_ROWS = 1000;
/** Limit of the sample in a file with very long rows. */
const SAMPLE_BYTES_MAX = 4_000_000;
/** Number of columns that are read. A Modbus device has fewer registers than that. */
const COLUMNS_MAX = 10_000;

export type CsvOptions = CsvNotation & {
  /** Header of the time column; undefined selects `time`, `timestamp`, `datetime`, `ts` or another usual name. */
  readonly timeColumn?: string | undefined;
  /** Headers to read, in this order; undefined reads every column of numbers. */
  readonly columns?: readonly string[] | undefined;
  /** Headers of cells to return as text, such as labels. */
  readonly texts?: readonly string[] | undefined;
};

/** Layout of a file, detected from its header and first rows. */
export type CsvLayout = {
  readonly path: string;
  readonly format: { readonly separator: CsvSeparator; readonly decimal: Decimal };
  /** Headers of the columns that are read; in a file with one value a line, the names of the values. */
  readonly columns: readonly string[];
  readonly timeColumn: string | undefined;
  /** Median time between rows; undefined without times in the first rows. */
  readonly intervalMs: number | undefined;
  /** Headers of text columns, which are not read. */
  readonly textColumns: readonly string[];
  /** What was detected above the rows and could surprise, for the user. */
  readonly notes: readonly string[];
  /** What was assumed about the times, for the user. */
  readonly timeNotes: readonly string[];
};

/**
 * A historian's export. Each call of `rows` reads the file again; rows are not kept in memory, except those of a file with
 * one value a line.
 */
export class CsvFile {
  readonly layout: CsvLayout;
  readonly #head: CsvHead;
  readonly #options: CsvOptions;
  readonly #columns: CsvColumns;
  readonly #narrow: Narrow | undefined;

  private constructor(
    layout: CsvLayout,
    head: CsvHead,
    options: CsvOptions,
    columns: CsvColumns,
    narrow: Narrow | undefined,
  ) {
    this.layout = layout;
    this.#head = head;
    this.#options = options;
    this.#columns = columns;
    this.#narrow = narrow;
  }

  /**
   * Reads the header and the first rows.
   *
   * @throws {OperatingError} 'csv-unreadable' | 'csv-empty' | 'csv-header-invalid' | 'csv-row-invalid' | 'csv-line-too-long' (reject).
   */
  static async open(path: string, options: CsvOptions = {}): Promise<CsvFile> {
    const head = await readHead(path, options.headerLine, [
      ...(options.columns ?? []),
      ...(options.texts ?? []),
      ...(options.timeColumn === undefined ? [] : [options.timeColumn]),
    ]);
    const { separator, headers } = head;
    const records = () => rowRecords(path, head);
    const sample = await readSample(path, records());
    const columns = new CsvColumns({ path, head, sample, notation: options, records });
    checkHeaders(path, head, options);
    const timeColumn = options.timeColumn ?? timeColumnOf(headers);
    if (lacksTime(headers, timeColumn))
      throw headerInvalid(
        path,
        head,
        'this looks like one value a line, and no column is known to hold the times: --time names it',
      );
    const narrow = findNarrow({ headers, sample, timeColumn, wanted: options.columns, columns });
    const others = headers.filter((name) => name !== timeColumn && name !== '');
    const numbers = narrow?.names ?? others.filter((name) => !columns.holdsText(headers.indexOf(name)));
    const textColumns = narrow === undefined ? others.filter((name) => !numbers.includes(name)) : [];
    const chosen = options.columns ?? numbers;
    const known = narrow === undefined ? headers.filter((name) => name !== '') : numbers;
    checkKnown(path, head, chosen, known);
    checkKnown(path, head, [...(options.texts ?? []), ...(timeColumn === undefined ? [] : [timeColumn])], headers);
    if (chosen.length === 0) throw headerInvalid(path, head, columns.noNumbersText(others));
    const fault =
      timeColumn === undefined ? undefined : timeColumnProblem(headers, sample, timeColumn, options.timeUnit);
    if (fault !== undefined) throw headerInvalid(path, head, fault);
    const reader = new TimeReader(await columns.timeOptions(headers.indexOf(timeColumn ?? '')));
    const times = sample.map(({ cells }) => reader.read(cells[headers.indexOf(timeColumn ?? '')] ?? ''));
    const layout: CsvLayout = {
      path,
      format: { separator, decimal: columns.decimal },
      columns: chosen,
      timeColumn,
      intervalMs: medianInterval(times),
      textColumns: textColumns.filter((name) => !chosen.includes(name)),
      notes: [...notesOf(head, narrow), ...qualityNotes(headers, chosen, narrow)],
      timeNotes: timeNotesOf(reader),
    };
    return new CsvFile(layout, head, options, columns, narrow);
  }

  /** @throws {OperatingError} 'csv-row-invalid' | 'csv-value-invalid' | 'csv-unreadable' | 'csv-line-too-long' (reject). */
  async *rows(): AsyncGenerator<CsvRow, void, undefined> {
    if (this.#narrow === undefined) yield* this.#wideRows();
    else {
      const options = await this.#timeOptions();
      yield* pivot(this.#narrow, this.layout, this.#head.headers, {
        records: rowRecords(this.layout.path, this.#head),
        columns: this.#columns,
        readerOf: () => new TimeReader(options),
      });
    }
  }

  async *#wideRows(): AsyncGenerator<CsvRow, void, undefined> {
    const { path, columns, timeColumn } = this.layout;
    const { headers } = this.#head;
    const columnIndexes = columns.map((name) => headers.indexOf(name));
    const qualityIndexes = columns.map((name) => headers.indexOf(qualityColumnOf(name, headers) ?? ''));
    const textIndexes = (this.#options.texts ?? []).map((name) => headers.indexOf(name));
    const timeIndex = timeColumn === undefined ? undefined : headers.indexOf(timeColumn);
    const times = new TimeReader(await this.#timeOptions());
    let row = -1;
    let last: CsvRecord | undefined;
    for await (const record of withoutFooter(rowRecords(path, this.#head), headers.length, timeIndex)) {
      const { line, cells } = record;
      if (cells.length < headers.length || cells.slice(headers.length).some((cell) => cell !== ''))
        throw lengthInvalid(path, record, headers.length);
      row += 1;
      last = record;
      const timeText = timeIndex === undefined ? '' : (cells[timeIndex] ?? '');
      const timeMs = timeIndex === undefined ? undefined : this.#columns.time(times, line, timeIndex, timeText);
      const texts = textIndexes.map((index) => cells[index] ?? '');
      const values = new Float64Array(columnIndexes.length);
      for (const [place, index] of columnIndexes.entries()) {
        const cell = cells[index] ?? '';
        // Awaits only a cell that its column must decide about.
        const value = this.#columns.number(index, cell) ?? (await this.#columns.decide(index, cell, line));
        values[place] = isGoodQuality(cells[qualityIndexes[place] ?? -1] ?? '') ? value : Number.NaN;
      }
      yield { row, line, timeMs, timeText, texts, values };
    }
    if (last !== undefined && timeIndex !== undefined)
      this.#columns.timesEnd(times, last.line, timeIndex, last.cells[timeIndex] ?? '');
  }

  #timeOptions(): Promise<TimeOptions> {
    return this.#columns.timeOptions(this.#head.headers.indexOf(this.layout.timeColumn ?? ''));
  }
}

/** Records below the header and its units. */
async function* rowRecords(path: string, { separator, lastHeadLine }: CsvHead): AsyncGenerator<CsvRecord, void> {
  for await (const record of csvRecords(path, separator)) if (record.line > lastHeadLine) yield record;
}

/** Reads the first rows. `rows` reports a broken row after them. */
async function readSample(path: string, records: AsyncIterable<CsvRecord>): Promise<readonly CsvRecord[]> {
  const sample: CsvRecord[] = [];
  try {
    for await (const record of records) {
      sample.push(record);
      if (sample.length >= SAMPLE_ROWS || record.bytes > SAMPLE_BYTES_MAX) break;
    }
  } catch (error) {
    if (sample.length === 0) throw error;
  }
  if (sample.length === 0) throw new OperatingError('csv-empty', 'reject', `${path} has no rows`);
  return sample;
}

function checkHeaders(path: string, head: CsvHead, { columns }: CsvOptions): void {
  const { headers } = head;
  if (headers.every((name) => name === '' || isAnyNumber(name)) || headers.some(isTimeText))
    throw headerInvalid(
      path,
      head,
      'this line holds values; expected the names of the columns. --header-line names their line; a file without names needs a first line such as time;power',
    );
  if (columns === undefined && headers.length > COLUMNS_MAX)
    throw headerInvalid(path, head, `${headers.length} columns; at most ${COLUMNS_MAX} are read`);
  const duplicate = (columns ?? headers).find(
    (name) => name !== '' && headers.indexOf(name) !== headers.lastIndexOf(name),
  );
  if (duplicate !== undefined)
    throw headerInvalid(
      path,
      head,
      `column '${duplicate}' occurs twice. Rename one of them, or read other columns (--columns)`,
    );
}

function checkKnown(path: string, head: CsvHead, names: readonly string[], known: readonly string[]): void {
  const missing = names.filter((name) => !known.includes(name));
  const [first] = missing;
  if (first === undefined) return;
  const meant = nearest(first, known);
  const hint = meant === undefined ? '' : `. Did you mean '${meant}'?`;
  throw headerInvalid(
    path,
    head,
    `there is no column '${missing.join("', '")}'; the header has: ${known.join(', ')}${hint}`,
  );
}

function headerInvalid(path: string, { headerLine }: CsvHead, problem: string): OperatingError {
  return new OperatingError('csv-header-invalid', 'reject', `${path}:${headerLine}: ${problem}`);
}

function lengthInvalid(path: string, { line, cells }: CsvRecord, columns: number): OperatingError {
  const message = `${path}:${line}: ${cells.length} cells; the header has ${columns} columns`;
  return new OperatingError('csv-row-invalid', 'reject', message);
}

function notesOf({ headerLine, preamble, lastHeadLine }: CsvHead, narrow: Narrow | undefined): readonly string[] {
  const hasUnits = lastHeadLine > headerLine;
  return [
    ...(preamble > 0 ? [`the header is line ${headerLine}; the lines above it are not read`] : []),
    ...(hasUnits ? [`below the header are units, up to line ${lastHeadLine}, which are not read`] : []),
    ...(narrow === undefined ? [] : [`one value a line: ${narrow.nameColumn} names it`]),
  ];
}

function qualityNotes(
  headers: readonly string[],
  columns: readonly string[],
  narrow: Narrow | undefined,
): readonly string[] {
  const used = narrow === undefined ? columns.map((name) => qualityColumnOf(name, headers)) : [narrow.qualityColumn];
  return used.flatMap((name) => (name === undefined ? [] : [`values whose ${name} is not good are missing`]));
}

function timeNotesOf({ isElapsed, assumesExcel, assumesUtc }: TimeReader): readonly string[] {
  if (isElapsed) return ['times are read as seconds from the start; --time-unit names another unit'];
  return [
    ...(assumesExcel ? ['times are read as days of Excel from 1900; --time-unit excel1904 reads those from 1904'] : []),
    ...(assumesUtc ? ['times without a zone are read as UTC; --time-zone names another zone'] : []),
  ];
}

function medianInterval(times: readonly unknown[]): number | undefined {
  const timesMs = times.map((time) => (typeof time === 'number' ? time : Number.NaN));
  const intervals = timesMs
    .map((timeMs, row) => timeMs - (timesMs[row - 1] ?? Number.NaN))
    .filter((intervalMs) => intervalMs > 0)
    .toSorted((a, b) => a - b);
  return intervals[Math.floor((intervals.length - 1) / 2)];
}
