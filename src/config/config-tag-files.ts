import { join } from 'node:path';
import { parse } from 'yaml';
import { columnOf, type CsvFormat, type CsvLine, type CsvTable, formatCsv, parseCsvTable } from '../csv/csv-table.ts';
import { encodingOf, spreadsheetProblem } from '../csv/csv-text.ts';
import { simplified } from '../domain/nearest-word.ts';
import {
  type PositionedDocument,
  type ConfigPath,
  type DocumentProblem,
  type FilePosition,
  isPlainObject,
  type PositionedData,
  valueAt,
} from '../platform/positioned-document.ts';
import { branches, configJsonSchema, schemaAt, type SchemaNode } from './config-json-schema.ts';
import { nearestKey } from './files/config-suggestions.ts';
import { type ConfigText, readConfigText } from './files/config-text.ts';

/** Column with the name of the tag. The other columns are the keys of a tag. */
const NAME = 'name';

/** The place of a tag in a tag file: its line, and the cell of each key. */
type TagPlace = {
  readonly file: string;
  readonly line: CsvLine;
  readonly format: CsvFormat;
  readonly cells: ReadonlyMap<string, number>;
};

/** Reads a tag file as text. */
type ReadTagFile = (file: string) => Promise<ConfigText>;

/** A configuration with the tags of the CSV files that `tags: { file: … }` names. */
export class ConfigTagFiles implements PositionedData {
  readonly value: unknown;
  /** Problems of the files themselves. The values of the tags are checked with the configuration. */
  readonly problems: readonly DocumentProblem[];
  readonly #document: PositionedDocument;
  readonly #places: ReadonlyMap<string, TagPlace>;

  private constructor(document: PositionedDocument, value: unknown, reader: TagFileReader) {
    this.#document = document;
    this.value = value;
    this.problems = reader.problems;
    this.#places = reader.places;
  }

  /** @param directory Folder that the paths of the files start from, for reading and for messages. */
  static async read(
    document: PositionedDocument,
    directory: string,
    readText: ReadTagFile = (file) => readConfigText(file, textOf),
  ): Promise<ConfigTagFiles> {
    const reader = new TagFileReader(document, directory, readText);
    return new ConfigTagFiles(document, await reader.read(), reader);
  }

  position(path: ConfigPath, at: 'key' | 'value'): FilePosition {
    const place = this.#places.get(JSON.stringify(path.slice(0, 4)));
    if (place === undefined) return this.#document.position(path, at);
    const { file, line, format, cells } = place;
    const cell = cells.get(String(path[4] ?? NAME)) ?? cells.get(NAME) ?? 0;
    return { file, line: line.line, column: columnOf(line, cell, format) };
  }

  textAt(path: ConfigPath): string | undefined {
    const place = this.#places.get(JSON.stringify(path.slice(0, 4)));
    return place === undefined ? this.#document.textAt(path) : place.line.cells[place.cells.get(String(path[4])) ?? -1];
  }
}

class TagFileReader {
  readonly problems: DocumentProblem[] = [];
  readonly places = new Map<string, TagPlace>();
  readonly #document: PositionedDocument;
  readonly #directory: string;
  readonly #readText: ReadTagFile;

  constructor(document: PositionedDocument, directory: string, readText: ReadTagFile) {
    this.#document = document;
    this.#directory = directory;
    this.#readText = readText;
  }

  /** @returns The configuration with the tags of the files instead of their names. */
  async read(): Promise<unknown> {
    const { value } = this.#document;
    const sources = valueAt(value, ['sources']);
    if (!isPlainObject(value) || !isPlainObject(sources)) return value;
    const read = Object.entries(sources).map(async ([id, source]) => [id, await this.#withTags(id, source)] as const);
    return { ...value, sources: Object.fromEntries(await Promise.all(read)) };
  }

  async #withTags(id: string, source: unknown): Promise<unknown> {
    const tags = isPlainObject(source) ? source['tags'] : undefined;
    if (!isPlainObject(source) || !isPlainObject(tags)) return source;
    const { file, ...inline } = tags;
    // A tag of the name `file` is a map.
    if (typeof file !== 'string') return source;
    const read = await this.#tagsOf(['sources', id, 'tags'], file, inline);
    return { ...source, tags: { ...read, ...inline } };
  }

  async #tagsOf(path: ConfigPath, name: string, inline: object): Promise<Readonly<Record<string, unknown>>> {
    const file = name.startsWith('/') ? name : join(this.#directory, name);
    const keys = tagKeys(configJsonSchema(), path, this.#document.value);
    // A source of an unknown type has no keys. The schema reports the type.
    if (keys.size === 0) return {};
    const read = await this.#readText(file);
    if ('problem' in read) {
      const position = this.#document.position([...path, 'file'], 'value');
      this.problems.push({ ...position, path: [...path, 'file'], message: `${file}: ${read.problem}` });
      return {};
    }
    const table = parseCsvTable(read.text);
    const columns = this.#columns(path, file, table, keys);
    const tags = table.rows.flatMap((line) => this.#tag(line, { path, file, table, columns, keys }, inline));
    return Object.fromEntries(tags);
  }

  /** Returns the key of each column; undefined for a column without a header. */
  #columns(
    path: ConfigPath,
    file: string,
    table: CsvTable,
    keys: ReadonlyMap<string, SchemaNode>,
  ): readonly (string | undefined)[] {
    const report = (line: number, column: number, message: string) =>
      this.problems.push({ file, line, column, path, message });
    for (const line of table.broken) report(line, 1, 'a quotation mark is not closed on its line');
    const { header, format } = table;
    const known = [NAME, ...keys.keys()];
    const expected = `expected the column ${NAME}, and columns such as ${known.slice(1, 6).join(', ')} (andon import --as csv reads files with other columns)`;
    if (header === undefined) {
      report(1, 1, `the file has no header: ${expected}`);
      return [];
    }
    const columns = header.cells.map((text) => known.find((key) => simplified(key) === simplified(text)));
    for (const [index, text] of header.cells.entries()) {
      const key = columns[index];
      const column = columnOf(header, index, format);
      const near = nearestKey(text, known);
      const hint = near === undefined ? expected : `did you mean '${near}'?`;
      if (key === undefined && text !== '') report(header.line, column, `unknown column '${text}': ${hint}`);
      else if (key !== undefined && columns.indexOf(key) !== index)
        report(header.line, column, `column '${text}' occurs twice`);
    }
    if (!columns.includes(NAME)) report(header.line, 1, `there is no column '${NAME}' with the names of the tags`);
    return columns;
  }

  #tag(
    line: CsvLine,
    { path, file, table, columns, keys }: TagRows,
    inline: object,
  ): readonly (readonly [string, unknown])[] {
    // A line that starts with # is a comment. No tag name starts with it.
    if (line.cells[0]?.startsWith('#') === true || line.cells.every((cell) => cell === '')) return [];
    const cells = new Map(columns.flatMap((key, index) => (key === undefined ? [] : [[key, index] as const])));
    const { format } = table;
    const report = (cell: number, message: string) =>
      this.problems.push({ file, line: line.line, column: columnOf(line, cell, format), path, message });
    const extra = line.cells.findIndex((cell, index) => cell !== '' && columns[index] === undefined);
    if (extra >= 0) report(extra, `the column has no header: '${line.cells[extra]}' belongs to no key`);
    const name = line.cells[cells.get(NAME) ?? -1] ?? '';
    const place = JSON.stringify([...path, name]);
    const first = this.places.get(place);
    if (name === '') report(cells.get(NAME) ?? 0, 'the tag has no name');
    else if (first !== undefined)
      report(cells.get(NAME) ?? 0, `tag '${name}' is also in line ${first.line.line}: tag names must be unique`);
    else if (Object.hasOwn(inline, name)) {
      const { line: other } = this.#document.position([...path, name], 'key');
      report(cells.get(NAME) ?? 0, `tag '${name}' is also in line ${other} of the configuration: remove one`);
    } else this.places.set(place, { file, line, format, cells });
    const fields = [...keys].flatMap(([key, node]) => {
      const text = line.cells[cells.get(key) ?? -1] ?? '';
      return text === '' ? [] : [[key, cellValue(text, node, format)] as const];
    });
    return name === '' ? [] : [[name, Object.fromEntries(fields)]];
  }
}

type TagRows = {
  readonly path: ConfigPath;
  readonly file: string;
  readonly table: CsvTable;
  readonly columns: readonly (string | undefined)[];
  readonly keys: ReadonlyMap<string, SchemaNode>;
};

/** Returns the keys of a tag of a source, with their schemas. */
function tagKeys(schema: SchemaNode, path: ConfigPath, file: unknown): ReadonlyMap<string, SchemaNode> {
  return new Map(Object.entries(schemaAt(schema, [...path, NAME], file)?.properties ?? {}));
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
  // Excel writes the words of its language.
  ['wahr', true],
  ['falsch', false],
  ['vrai', true],
  ['faux', false],
]);

/** Returns the value of a cell as the key takes it. A text that does not fit stays a text, which the schema reports. */
function cellValue(text: string, node: SchemaNode, { decimal }: CsvFormat): unknown {
  const kinds = new Set(branches(node).map((branch) => branch.type ?? typeof branch.const));
  if ((kinds.has('array') || kinds.has('object')) && /^[[{]/.test(text)) return listOrMap(text);
  const ends = /^(.+?)\s*(?:\.\.+|…)\s*(.+)$/.exec(text);
  if (kinds.has('array') && ends !== null) return [ends[1], ends[2]].map((end) => number(end ?? '', decimal) ?? end);
  if (kinds.has('number') || kinds.has('integer')) return number(text, decimal) ?? text;
  return kinds.has('boolean') ? (BOOLEANS.get(text.toLowerCase()) ?? text) : text;
}

function listOrMap(text: string): unknown {
  try {
    return parse(text) as unknown;
  } catch {
    return text;
  }
}

function number(text: string, decimal: CsvFormat['decimal']): number | undefined {
  const value = Number(decimal === ',' ? text.replace(',', '.') : text);
  return text.trim() !== '' && Number.isFinite(value) ? value : undefined;
}

/**
 * Returns the tags of a source as the text of a tag file.
 *
 * @param tags Tags by name, with the keys and values of the configuration.
 */
export function tagFileText(tags: Readonly<Record<string, unknown>>, separator: CsvFormat['separator'] = ','): string {
  const fields = Object.entries(tags).map(([name, tag]) => ({ name, tag: isPlainObject(tag) ? tag : {} }));
  const keys = [...new Set(fields.flatMap(({ tag }) => Object.keys(tag)))];
  const used = keys.filter((key) => fields.some(({ tag }) => tag[key] !== undefined));
  const rows = fields.map(({ name, tag }) => [name, ...used.map((key) => cellText(key, tag[key]))]);
  return formatCsv([[NAME, ...used], ...rows], separator);
}

function cellText(key: string, value: unknown): string {
  if (value === undefined || value === null) return '';
  if (key === 'range' && Array.isArray(value)) return value.join('..');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function textOf(bytes: Buffer): ConfigText {
  const problem = spreadsheetProblem(bytes);
  return problem === undefined ? { text: new TextDecoder(encodingOf(bytes)).decode(bytes) } : { problem };
}
