export type CsvFormat = { readonly separator: ';' | ',' | '\t'; readonly decimal: '.' | ',' };

/** Text that historians export for a missing value; compared in lower case. */
const missingValues: ReadonlySet<string> = new Set([
  '',
  '-',
  'nan',
  'null',
  'none',
  'na',
  'n/a',
  '#n/a',
  'bad',
  'bad input',
  'no data',
  'i/o timeout',
]);

/**
 * Parses a number. Rejects thousands separators: 1.234 in a file with decimal commas may mean 1234, and a wrong value is
 * worse than none.
 *
 * @returns NaN for a missing value, undefined for any other text.
 */
export function parseNumber(cell: string, decimal: CsvFormat['decimal']): number | undefined {
  const text = decimal === ',' ? cell.replace(',', '.') : cell;
  const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text);
  if (isNumber && (decimal === '.' || !cell.includes('.'))) return Number(text);
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === 'true' ? 1 : 0;
  return missingValues.has(text.toLowerCase()) ? Number.NaN : undefined;
}

/**
 * Parses a time: ISO 8601 with `T` or a space, `31.12.2025 23:59:59`, or a number of seconds or milliseconds since 1970.
 * A time without a zone is read as UTC.
 *
 * @returns Epoch milliseconds; undefined for any other text.
 */
export function parseTimeMs(cell: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(cell)) {
    const value = Number(cell);
    // 10¹¹ seconds is the year 5138, 10¹¹ milliseconds the year 1973.
    return value < 1e11 ? value * 1000 : value;
  }
  const dotted = /^(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[ T](.+))?$/.exec(cell);
  const [, day = '', month = '', year = '', clock = '00:00:00'] = dotted ?? [];
  const text = dotted === null ? cell : `${year}-${month.padStart(2, '0')}-${day.padStart(2, '0')}T${clock}`;
  const parts = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?:(:\d{2})(?:[.,](\d+))?)?)?\s*(Z|[+-]\d{2}:?\d{2})?$/i.exec(
    text,
  );
  if (parts === null) return undefined;
  const [, date = '', minutes = '00:00', seconds = ':00', fraction = '', zone = 'Z'] = parts;
  const wholeMs = Date.parse(`${date}T${minutes}${seconds}${zone.toUpperCase()}`);
  // Date.parse drops microseconds.
  const microseconds = Math.round(Number(`0.${fraction}`) * 1e6);
  return Number.isNaN(wholeMs) ? undefined : (wholeMs * 1000 + microseconds) / 1000;
}

/** A decimal comma is detected from cells that are numbers with a comma only. */
export function detectDecimal(
  separator: CsvFormat['separator'],
  sample: readonly (readonly string[])[],
): CsvFormat['decimal'] {
  const isDecimalComma = (cell: string) => /^[+-]?\d*,\d+(e[+-]?\d+)?$/i.test(cell);
  return separator !== ',' && sample.some((cells) => cells.some(isDecimalComma)) ? ',' : '.';
}
