import { basename } from 'node:path';
import type { CsvNotation } from '../csv/csv-columns.ts';
import { CsvFile, type CsvOptions } from '../csv/csv-file.ts';
import { readBoolean, readNumber } from '../csv/csv-numbers.ts';
import type { CsvRow } from '../csv/csv-row.ts';
import type { MarkedPeriod } from '../contracts/operation/annotations.ts';
import { suppresses } from '../domain/alarm/suppression.ts';
import type { SuppressWhen } from '../pipeline/watch-config.ts';
import { OperatingError } from '../platform/errors.ts';
import { trainingFailure } from '../training/core/training-errors.ts';
import { plantFailure } from '../plant/plant-errors.ts';

/** One line of a recording. */
export type RecordedRow = Pick<CsvRow, 'row' | 'timeMs' | 'timeText'> & {
  readonly label: string;
  /** True in a state of the plant that suppresses the alarm of the watch. */
  readonly suppressed: boolean;
  /** One value for each tag, in the watch's order; NaN if the file has none. */
  readonly values: Float64Array;
};

/** Recorded data of a watch's tags; streamed from the start at each use. */
export type Recording = {
  /** Name for display and for the manifest; without the path, which has no meaning on another computer. */
  readonly name: string;
  /** Usual time between rows; undefined without times. */
  readonly usualMs: number | undefined;
  readonly hasTimes: boolean;
  /** Periods that people marked: the labels of their rows. Empty for a file, which may have a column of labels. */
  readonly marked: readonly MarkedPeriod[];
  /** Parses a label as a number in the file's notation; NaN if it is not one. */
  readonly labelNumber: (label: string) => number;
  /** Notes for the user about unusual lines above the rows. */
  readonly notes: readonly string[];
  /** Notes for the user about assumptions on the times. */
  readonly timeNotes: readonly string[];
  readonly rows: () => AsyncIterable<RecordedRow>;
};

/** First and last row that count, both included. */
export type RowRange = { readonly first: number; readonly last: number };

export type CsvRecordingOptions = {
  readonly path: string;
  readonly tags: readonly string[];
  /** Headers by tag, if they differ. */
  readonly columns: ReadonlyMap<string, string>;
  readonly timeColumn: string | undefined;
  readonly labelColumn: string | undefined;
  /** State that suppresses the alarm of the watch, if the file has its tag. */
  readonly suppressWhen?: SuppressWhen | undefined;
  /** How to read what the file leaves open. */
  readonly notation?: CsvNotation;
};

/**
 * Opens a CSV as the recording of some tags, which are found by its header.
 *
 * @throws {OperatingError} 'csv-unreadable' | 'csv-empty' | 'csv-header-invalid' | 'csv-line-too-long' (reject).
 */
export async function csvRecording(options: CsvRecordingOptions): Promise<Recording> {
  const { path, tags, columns, timeColumn, labelColumn, suppressWhen } = options;
  const strangers = [...columns.keys()].filter((tag) => !tags.includes(tag));
  if (strangers.length > 0)
    throw headerInvalid(`--columns names ${strangers.join(', ')}; the watch has the tags ${tags.join(', ')}`);
  const headers = tags.map((tag) => columns.get(tag) ?? tag);
  const texts = labelColumn === undefined ? [] : [labelColumn];
  const open = (names: readonly string[]) =>
    openFile(path, { ...options.notation, timeColumn, columns: [...new Set(names)], texts });
  const suppressing = suppressWhen === undefined ? [] : [columns.get(suppressWhen.tag) ?? suppressWhen.tag];
  const file = await withOptional(open, headers, suppressing);
  const state = file.layout.columns.indexOf(suppressing[0] ?? '');
  const places = headers.map((header) => file.layout.columns.indexOf(header));
  return {
    name: basename(path),
    usualMs: file.layout.intervalMs,
    hasTimes: file.layout.timeColumn !== undefined,
    marked: [],
    labelNumber: (label) => {
      const number = readNumber(label, file.layout.format.decimal, true);
      return typeof number === 'number' ? number : (readBoolean(label, false) ?? Number.NaN);
    },
    notes: [
      ...file.layout.notes,
      ...(suppressWhen !== undefined && state < 0
        ? [`there is no column of ${suppressWhen.tag}: rows in which it suppresses the alarm are not known`]
        : []),
    ],
    timeNotes: file.layout.timeNotes,
    rows: async function* () {
      for await (const { row, timeMs, timeText, texts: [label = ''] = [], values } of file.rows())
        yield {
          row,
          timeMs,
          timeText,
          label,
          suppressed: suppressWhen !== undefined && suppresses(suppressWhen, values[state] ?? Number.NaN),
          values: Float64Array.from(places, (place) => values[place] ?? Number.NaN),
        };
    },
  };
}

/** Opens a file with columns that it may lack. */
async function withOptional(
  open: (names: readonly string[]) => Promise<CsvFile>,
  needed: readonly string[],
  optional: readonly string[],
): Promise<CsvFile> {
  if (optional.length === 0) return open(needed);
  try {
    return await open([...needed, ...optional]);
  } catch (error) {
    if (error instanceof OperatingError && error.code === 'csv-header-invalid') return open(needed);
    throw error;
  }
}

/** Adds the option that names other headers to the error of a missing column. */
async function openFile(path: string, options: CsvOptions): Promise<CsvFile> {
  try {
    return await CsvFile.open(path, options);
  } catch (error) {
    if (!(error instanceof OperatingError) || !error.message.includes('there is no column')) throw error;
    throw headerInvalid(`${error.message}. --columns tag=header,… names other headers`);
  }
}

/**
 * Reads `0-399`, `400-` or `-399`.
 * @throws {OperatingError} 'rows-invalid' (reject).
 */
export function parseRowRange(text: string | undefined): RowRange {
  if (text === undefined) return { first: 0, last: Infinity };
  const match = /^(\d*)-(\d*)$/.exec(text.trim());
  const first = Number(match?.[1] ?? '');
  const last = match?.[2] === '' ? Infinity : Number(match?.[2] ?? '');
  if (match !== null && text.trim() !== '-' && last >= first) return { first, last };
  throw trainingFailure('rows-invalid', `--rows ${text}: expected such as 0-399, 400- or -399`);
}

/**
 * Reads `tag=header,tag=header`.
 * @throws {OperatingError} 'csv-header-invalid' (reject).
 */
export function parseColumns(text: string | undefined): ReadonlyMap<string, string> {
  const pairs = (text ?? '').split(',').filter((pair) => pair.trim() !== '');
  return new Map(
    pairs.map((pair): [string, string] => {
      const at = pair.indexOf('=');
      if (at <= 0) throw headerInvalid(`--columns: '${pair}' is not tag=header`);
      return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    }),
  );
}

/** Labels of normal running, in addition to 0. */
const NORMAL_LABELS: ReadonlySet<string> = new Set(['normal', 'ok', 'good', 'healthy', 'false', 'no', 'none']);

/** Returns true if a label marks normal running; undefined without a label. */
export function isNormalLabel(label: string): boolean | undefined {
  if (label === '' || label.toLowerCase() === 'nan') return undefined;
  return Number(label.replace(',', '.')) === 0 || NORMAL_LABELS.has(label.toLowerCase());
}

function headerInvalid(message: string): OperatingError {
  return plantFailure('csv-header-invalid', message);
}
