import { OperatingError } from '../platform/errors.ts';
import type { CsvColumns } from './csv-columns.ts';
import { isGoodQuality, qualityColumn } from './csv-quality.ts';
import type { CsvRecord } from './csv-records.ts';
import type { CsvRow } from './csv-row.ts';
import type { TimeReader } from './csv-times.ts';

/** Columns of a file with one value a line: name, time, value. */
export type Narrow = {
  readonly nameColumn: string;
  readonly valueColumn: string;
  /** Column with the quality of the values; undefined without one. */
  readonly qualityColumn: string | undefined;
  /** Names of values in the first rows. */
  readonly names: readonly string[];
};

/** Usual headers; compared in lower case. */
const NAMES =
  /^(var(iable)?_?name|tag_?(name)?|name|point(_?name)?|signal|channel|variable|item|metric|entity_id|sensor)$/;
const VALUES = /^(var_?value|value|wert|valeur|valor|state)$/;
/** Values that are kept in memory to sort them by time. */
const VALUES_MAX = 10_000_000;
/** WinCC's marks of the start and the stop of its runtime. */
const RUNTIME_MARK = /^\$RT_/;

/** True if the header belongs to a file with one value a line and no known column of times. */
export function lacksTime(headers: readonly string[], timeColumn: string | undefined): boolean {
  const has = (pattern: RegExp) => headers.some((name) => pattern.test(name.toLowerCase()));
  return timeColumn === undefined && has(NAMES) && has(VALUES);
}

export function findNarrow(file: {
  readonly headers: readonly string[];
  readonly sample: readonly CsvRecord[];
  readonly timeColumn: string | undefined;
  /** Columns that the caller wants. If the header has one of them, the file is not narrow. */
  readonly wanted: readonly string[] | undefined;
  readonly columns: CsvColumns;
}): Narrow | undefined {
  const { headers, sample, timeColumn, wanted, columns } = file;
  if (timeColumn === undefined || wanted?.some((name) => headers.includes(name)) === true) return undefined;
  const valueColumn = headers.find((name) => VALUES.test(name.toLowerCase()));
  const texts = headers.filter((name, index) => name !== timeColumn && name !== '' && columns.holdsText(index));
  const namesIn = (column: string) => [
    ...new Set(sample.map(({ cells }) => cells[headers.indexOf(column)] ?? '').filter((name) => !isMark(name))),
  ];
  const nameColumn =
    wanted === undefined
      ? texts.find((name) => NAMES.test(name.toLowerCase()))
      : texts.find((name) => namesIn(name).some((each) => wanted.includes(each)));
  if (nameColumn === undefined || valueColumn === undefined) return undefined;
  return { nameColumn, valueColumn, qualityColumn: qualityColumn(headers), names: namesIn(nameColumn) };
}

/**
 * Returns one row for each time, sorted by time, with the last value of each name.
 *
 * @throws {OperatingError} 'csv-value-invalid' | 'csv-row-invalid' (reject).
 */
export async function* pivot(
  { nameColumn, valueColumn, qualityColumn: quality }: Narrow,
  layout: { readonly path: string; readonly columns: readonly string[]; readonly timeColumn: string | undefined },
  headers: readonly string[],
  file: {
    readonly records: AsyncIterable<CsvRecord>;
    readonly columns: CsvColumns;
    readonly readerOf: () => TimeReader;
  },
): AsyncGenerator<CsvRow, void, undefined> {
  const [nameIndex, valueIndex] = [headers.indexOf(nameColumn), headers.indexOf(valueColumn)];
  const qualityIndex = quality === undefined ? -1 : headers.indexOf(quality);
  const timeIndex = headers.indexOf(layout.timeColumn ?? '');
  const places = new Map(layout.columns.map((name, place) => [name, place]));
  // Each name has its own order: a file may list one name after the other.
  const series = new Map<string, { readonly reader: TimeReader; readonly line: number; readonly timeText: string }>();
  const rows = new Map<number, Omit<CsvRow, 'row'>>();
  for await (const { line, cells } of file.records) {
    const name = cells[nameIndex] ?? '';
    const place = places.get(name);
    if (place === undefined) continue;
    const timeText = cells[timeIndex] ?? '';
    const reader = series.get(name)?.reader ?? file.readerOf();
    series.set(name, { reader, line, timeText });
    const timeMs = file.columns.time(reader, line, timeIndex, timeText);
    const row = rows.get(timeMs) ?? { line, timeMs, timeText, texts: [], values: noValues(places.size) };
    rows.set(timeMs, row);
    if (rows.size * places.size > VALUES_MAX)
      throw new OperatingError(
        'csv-row-invalid',
        'reject',
        `${layout.path}:${line}: more than ${VALUES_MAX} values in a file with one value a line. Split the file.`,
      );
    const cell = cells[valueIndex] ?? '';
    const value = file.columns.number(valueIndex, cell) ?? (await file.columns.decide(valueIndex, cell, line));
    row.values[place] = isGoodQuality(cells[qualityIndex] ?? '') ? value : Number.NaN;
  }
  for (const { reader, line, timeText } of series.values()) file.columns.timesEnd(reader, line, timeIndex, timeText);
  const sorted = [...rows.values()].toSorted((a, b) => (a.timeMs ?? 0) - (b.timeMs ?? 0));
  for (const [row, each] of sorted.entries()) yield { row, ...each };
}

function isMark(name: string): boolean {
  return name === '' || RUNTIME_MARK.test(name);
}

function noValues(length: number): Float64Array {
  return new Float64Array(length).fill(Number.NaN);
}
