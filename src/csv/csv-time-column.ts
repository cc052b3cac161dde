import { timeUnitOf } from '../domain/time-unit.ts';
import type { CsvRecord } from './csv-records.ts';

/** Header names of a time column; compared in lower case, the first that a file has. */
const TIME_NAMES = [
  'time',
  'timestamp',
  'datetime',
  'ts',
  'timestring',
  'date time',
  'date',
  'zeit',
  'datum',
  'zeitstempel',
  'horodatage',
  'last_changed',
  'last_updated',
];
/** `06:00`, `6:00:00.5`, `06:00 PM`. */
const CLOCK = /^\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s?[ap]m)?$/i;
/** `2026-03-02`, `02.03.2026`, `3/2/26`. */
const DATE = /^\d{1,4}[-./]\d{1,2}[-./]\d{2,4}\.?$/;
const WHOLE = /^\d+$/;

/**
 * Returns why a time column can be read in two ways, or does not hold whole times, with what decides; undefined if it can
 * be used.
 *
 * @param timeUnit The unit that the caller gives.
 */
export function timeColumnProblem(
  headers: readonly string[],
  sample: readonly CsvRecord[],
  timeColumn: string,
  timeUnit: string | undefined,
): string | undefined {
  const cellsOf = (column: string) =>
    sample.map(({ cells }) => (cells[headers.indexOf(column)] ?? '').trim()).filter((cell) => cell !== '');
  const holds = (column: string, pattern: RegExp) => {
    const cells = cellsOf(column);
    return cells.length > 0 && cells.every((cell) => pattern.test(cell));
  };
  const others = headers.filter((name) => name !== '' && name !== timeColumn);
  const dates = holds(timeColumn, DATE) ? timeColumn : others.find((name) => holds(name, DATE));
  const clocks = holds(timeColumn, CLOCK) ? timeColumn : others.find((name) => holds(name, CLOCK));
  // Dates that do not repeat are a time of their own.
  const isSplit = dates === timeColumn ? new Set(cellsOf(dates)).size < sample.length : clocks === timeColumn;
  if (dates !== undefined && clocks !== undefined && isSplit)
    return `the date is in column '${dates}' and the time of day in column '${clocks}': join both in one column, such as 2026-03-02 06:00:00`;
  const numbers = cellsOf(timeColumn);
  const areDays = numbers.every((cell) => WHOLE.test(cell) && timeUnitOf(Number(cell)) === 'excel');
  if (timeUnit !== undefined || numbers.length < 2 || !areDays) return undefined;
  return `column '${timeColumn}' holds whole numbers such as ${numbers[0]}, which are days of Excel or seconds from a start: --time-unit excel or --time-unit s decides`;
}

/** Returns the first usual name of a time column. */
export function timeColumnOf(headers: readonly string[]): string | undefined {
  const lower = headers.map((name) => name.toLowerCase().replace(/^#\s*/, ''));
  const name = TIME_NAMES.find((each) => lower.includes(each));
  return name === undefined ? undefined : headers[lower.indexOf(name)];
}
