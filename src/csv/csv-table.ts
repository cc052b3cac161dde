import { CsvError, parse } from 'csv-parse/sync';
import type { CsvSeparator } from './csv-records.ts';

/** Notation of a table. A decimal comma needs another separator. */
export type CsvFormat = { readonly separator: CsvSeparator; readonly decimal: '.' | ',' };

/** One line of a table. */
export type CsvLine = {
  /** Counts from 1. */
  readonly line: number;
  readonly text: string;
  readonly cells: readonly string[];
};

export type CsvTable = {
  readonly format: CsvFormat;
  /** Undefined in an empty file. */
  readonly header: CsvLine | undefined;
  /** Lines below the header that are not blank. */
  readonly rows: readonly CsvLine[];
  /** Numbers of the lines that cannot be split: a quotation mark is not closed. */
  readonly broken: readonly number[];
};

const SEPARATORS = [';', '\t', ','] as const;

/**
 * Splits the text of a small table, as a spreadsheet program saves it: any usual separator, with or without a byte order
 * mark or the line `sep=;`. A quoted cell cannot contain a line break.
 */
export function parseCsvTable(text: string): CsvTable {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .map((each, index) => ({ line: index + 1, text: each }))
    .filter((each) => each.text.replaceAll(/[;,\t"]/g, '').trim() !== '');
  const marked = /^sep=(.)$/.exec(lines[0]?.text ?? '')?.[1];
  if (marked !== undefined) lines.shift();
  const given = SEPARATORS.find((each) => each === marked);
  const count = (each: string) => splitLine(lines[0]?.text ?? '', each)?.length ?? 0;
  const separator = given ?? SEPARATORS.toSorted((a, b) => count(b) - count(a))[0] ?? ';';
  const split = lines.map((each) => ({ ...each, cells: splitLine(each.text, separator) }));
  const [header, ...rows] = split.flatMap(({ cells, ...each }) => (cells === undefined ? [] : [{ ...each, cells }]));
  const hasComma = rows.some(({ cells }) => cells.some((cell) => /^[+-]?\d*,\d+(e[+-]?\d+)?$/i.test(cell)));
  const decimal = separator !== ',' && hasComma ? ',' : '.';
  const broken = split.filter(({ cells }) => cells === undefined).map(({ line }) => line);
  return { format: { separator, decimal }, header, rows, broken };
}

/** Returns the column of a cell in its line, in characters from 1. */
export function columnOf({ text }: CsvLine, cell: number, { separator }: CsvFormat): number {
  let passed = 0;
  let isQuoted = false;
  for (let index = 0; index < text.length; index += 1) {
    if (passed === cell) return index + 1;
    if (text[index] === '"') isQuoted = !isQuoted;
    else if (text[index] === separator && !isQuoted) passed += 1;
  }
  return text.length + 1;
}

/** Returns a table as text. The first row is the header. */
export function formatCsv(rows: readonly (readonly string[])[], separator: CsvFormat['separator']): string {
  const cell = (text: string) =>
    /["\r\n]|^\s|\s$/.test(text) || text.includes(separator) ? `"${text.replaceAll('"', '""')}"` : text;
  return rows.map((cells) => `${cells.map(cell).join(separator)}\n`).join('');
}

function splitLine(text: string, separator: string): readonly string[] | undefined {
  try {
    const [cells = []] = parse(text, { delimiter: separator, relax_quotes: true, trim: true, skip_empty_lines: true });
    return cells;
  } catch (error) {
    if (error instanceof CsvError) return undefined;
    throw error;
  }
}
