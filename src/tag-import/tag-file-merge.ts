import { tagFileText } from '../config/config-tag-files.ts';
import { type CsvFormat, type CsvLine, type CsvTable, formatCsv, parseCsvTable } from '../csv/csv-table.ts';
import { simplified } from '../domain/nearest-word.ts';

export type MergedTagFile = {
  readonly text: string;
  /** Facts about hand edits and vanished tags. */
  readonly notes: readonly string[];
  readonly added: number;
  readonly changed: number;
};

/**
 * Merges imported tags into a tag file. Each cell has three values: the one that the last import wrote, the one of the
 * file, and the new one. A cell that differs from the last import was changed by a person and stays; every other cell
 * gets the new value. The same holds for rows: an added row stays, a removed row stays away, and a row that the import
 * no longer has stays with a note.
 *
 * @param text Content of the tag file. Comments, empty lines, order, separator and decimal comma stay.
 * @param last What the last import wrote; undefined if unknown: every filled cell then counts as changed by a person.
 */
export function mergeTagFile(text: string, last: string | undefined, tags: ReadonlyMap<string, object>): MergedTagFile {
  const file = new TagRows(text);
  const before = last === undefined ? undefined : new TagRows(last);
  const incoming = new TagRows(tagFileText(Object.fromEntries(tags)));
  const columns = [...file.columns, ...incoming.columns.filter((column) => !file.has(column))];
  const notes: string[] = [];
  const removed: string[] = [];
  let changed = 0;
  const rows = new Map<number, string>();
  for (const [name, line] of file.lines) {
    if (!incoming.lines.has(name)) {
      if (before?.lines.has(name) === true) notes.push(`${name}: no longer in the import; its row stays`);
      continue;
    }
    const cells = columns.map((column) => {
      const mine = file.cell(name, column);
      const theirs = incoming.cell(name, column);
      const base = before?.cell(name, column);
      const isEdited = before === undefined ? mine !== '' : !isSame(mine, base ?? '');
      if (isSame(mine, theirs)) return mine;
      if (!isEdited) return theirs;
      if (before === undefined || !isSame(theirs, base ?? ''))
        notes.push(`${name}: ${column} stays ${shown(mine)}; the import has ${shown(theirs)}`);
      return mine;
    });
    const same = columns.every((column, index) => isSame(file.cell(name, column), cells[index] ?? ''));
    if (same) continue;
    changed += 1;
    rows.set(line.line, file.format(cells));
  }
  const added = [...incoming.lines.keys()].filter((name) => {
    if (file.lines.has(name)) return false;
    if (before?.lines.has(name) !== true) return true;
    removed.push(name);
    return false;
  });
  if (removed.length > 0) notes.push(`removed by hand, and not added again: ${removed.join(', ')}`);
  const appended = added.map((name) => file.format(columns.map((column) => incoming.cell(name, column))));
  return { text: file.rewrite(columns, rows, appended), notes, added: added.length, changed };
}

function shown(text: string): string {
  return text === '' ? 'empty' : `'${text}'`;
}

/** Returns true for two notations of one value: decimal comma or point, WAHR or true. */
function isSame(a: string, b: string): boolean {
  return a === b || normal(a) === normal(b);
}

const WORDS: Readonly<Record<string, string>> = { wahr: 'true', vrai: 'true', falsch: 'false', faux: 'false' };

function normal(text: string): string {
  const word = text.trim().toLowerCase();
  const ends = word.split(/\s*(?:\.\.+|…)\s*/);
  const asNumbers = ends.map((end) => (end === '' ? NaN : Number(end.replace(',', '.'))));
  return asNumbers.every(Number.isFinite) ? asNumbers.join('..') : (WORDS[word] ?? text.trim());
}

/** A tag file by tag name, with its comments and empty lines. */
class TagRows {
  readonly lines: ReadonlyMap<string, CsvLine>;
  /** Keys of the columns, as in the header. */
  readonly columns: readonly string[];
  readonly #text: string;
  readonly #table: CsvTable;
  readonly #index: ReadonlyMap<string, number>;

  constructor(text: string) {
    this.#text = text.replace(/^\uFEFF/, '');
    this.#table = parseCsvTable(this.#text);
    this.columns = this.#table.header?.cells ?? [];
    this.#index = new Map(this.columns.map((column, index) => [simplified(column), index]));
    const name = this.#index.get('name') ?? -1;
    const named = this.#table.rows.filter(({ cells }) => (cells[name] ?? '') !== '' && !cells[0]?.startsWith('#'));
    this.lines = new Map(named.map((line) => [line.cells[name] ?? '', line]));
  }

  has(column: string): boolean {
    return this.#index.has(simplified(column));
  }

  cell(name: string, column: string): string {
    return this.lines.get(name)?.cells[this.#index.get(simplified(column)) ?? -1] ?? '';
  }

  format(cells: readonly string[]): string {
    const { separator, decimal } = this.#table.format;
    const written = decimal === ',' ? cells.map(withComma) : cells;
    return formatCsv([written], separator).trimEnd();
  }

  /** Returns the text with other columns, changed rows by line number, and rows at its end. */
  rewrite(columns: readonly string[], changed: ReadonlyMap<number, string>, appended: readonly string[]): string {
    const header = this.#table.header;
    const ending = /\r\n/.test(this.#text) ? '\r\n' : '\n';
    const lines = this.#text.split(/\r\n|\n|\r/);
    if (lines.at(-1) === '') lines.pop();
    const { separator }: CsvFormat = this.#table.format;
    const missing = columns.length - this.columns.length;
    const kept = lines.map((text, index) => {
      if (index + 1 === header?.line && missing > 0) return formatCsv([columns], separator).trimEnd();
      return changed.get(index + 1) ?? text;
    });
    return [...kept, ...appended].map((line) => `${line}${ending}`).join('');
  }
}

function withComma(cell: string): string {
  return /^[+-]?\d*\.\d+(e[+-]?\d+)?$/i.test(cell) ? cell.replace('.', ',') : cell;
}
