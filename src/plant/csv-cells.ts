/** What separates cells and decimals in a file. */
export type CsvFormat = { readonly separator: ';' | ',' | '\t'; readonly decimal: '.' | ',' };

const separators = ['\t', ';', ','] as const;

/** What historians write where they have no value; compared in lower case. */
const missingMarks: ReadonlySet<string> = new Set([
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
 * Cells of a line; a quoted cell may hold separators and doubled quotes, but no line break (RFC 4180 without that).
 *
 * @returns Undefined where a quotation mark is left open.
 */
export function splitCells(line: string, separator: string): readonly string[] | undefined {
  if (!line.includes('"')) return line.split(separator).map((cell) => cell.trim());
  const cells: string[] = [];
  let cell = '';
  let quoted = false;
  for (let index = 0; index < line.length; index += 1) {
    const character = line.charAt(index);
    if (quoted && character === '"' && line.charAt(index + 1) === '"') {
      cell += '"';
      index += 1;
    } else if (character === '"') quoted = !quoted;
    else if (character === separator && !quoted) {
      cells.push(cell.trim());
      cell = '';
    } else cell += character;
  }
  return quoted ? undefined : [...cells, cell.trim()];
}

/**
 * Finds out how a file is written: the separator that the header has most of, and a decimal comma where the first
 * rows have cells that are numbers only with one.
 */
export function detectFormat(header: string, rows: readonly string[]): CsvFormat {
  const count = (separator: string) => splitCells(header, separator)?.length ?? 0;
  const separator = separators.reduce((best, next) => (count(next) > count(best) ? next : best));
  const cells = rows.flatMap((row) => splitCells(row, separator) ?? []);
  const decimal = separator !== ',' && cells.some((cell) => /^[+-]?\d*,\d+(e[+-]?\d+)?$/i.test(cell)) ? ',' : '.';
  return { separator, decimal };
}

/**
 * Reads a number. Thousands separators are refused, not guessed at: 1.234 in a file with decimal commas may well be
 * 1234, and a wrong value is worse than none.
 *
 * @returns NaN for a missing value, undefined for text that is neither number nor missing.
 */
export function parseNumber(cell: string, decimal: '.' | ','): number | undefined {
  const text = decimal === ',' ? cell.replace(',', '.') : cell;
  const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text);
  if (isNumber && (decimal === '.' || !cell.includes('.'))) return Number(text);
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === 'true' ? 1 : 0;
  return missingMarks.has(text.toLowerCase()) ? Number.NaN : undefined;
}

/**
 * Reads a time: ISO 8601 with `T` or a blank, `31.12.2025 23:59:59`, or a number of seconds or milliseconds since
 * 1970. A time without a zone is taken as UTC.
 *
 * @returns Epoch milliseconds, or undefined where it is none of these.
 */
export function parseTimeMs(cell: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(cell)) {
    const value = Number(cell);
    // 10¹¹ seconds lie in the year 5138, 10¹¹ milliseconds in 1973.
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
