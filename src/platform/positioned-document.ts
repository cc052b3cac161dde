import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type ParsedNode,
  parseDocument,
  visit,
} from 'yaml';

/** Keys and list indices from the root. */
export type ConfigPath = readonly (string | number)[];

/** Line and column, counted from 1. */
export type Position = { readonly line: number; readonly column: number };

/** A position in a file; undefined is the configuration itself. */
export type FilePosition = Position & { readonly file?: string | undefined };

/** A problem in the configuration or in a file that it names. */
export type DocumentProblem = FilePosition & { readonly path: ConfigPath; readonly message: string };

/** Plain data with the position of each value. */
export interface PositionedData {
  readonly value: unknown;
  /** Returns the position of a key or of its value. */
  position(path: ConfigPath, at: 'key' | 'value'): FilePosition;
  /** Returns a value as it is written; undefined if it is not a scalar. */
  textAt(path: ConfigPath): string | undefined;
}

/**
 * Most values of a configuration after its aliases are expanded. A plant with 10,000 tags has fewer, but nine lines
 * of nested aliases can expand to a billion.
 */
const VALUES_MAX = 200_000;

/** A value of the file with the offsets of its key and of itself, and the values below it. */
type Located = {
  readonly value: unknown;
  readonly offset: number;
  readonly keyOffset: number | undefined;
  readonly children: ReadonlyMap<string | number, Located>;
  /** Text of a scalar as in the file: 0x10 for 16. */
  readonly text?: string | undefined;
};

const LEAF: Located['children'] = new Map();

/** A YAML file as plain data, with the position of each value in the file. */
export class PositionedDocument implements PositionedData {
  /** Content of the file as plain objects, arrays, strings, numbers and booleans. Undefined if it cannot be parsed. */
  readonly value: unknown;
  /** Problems of the YAML text: syntax, duplicate keys, aliases. */
  readonly problems: readonly DocumentProblem[];
  /** False if the text is too broken to check its content. */
  readonly readable: boolean;
  readonly #root: Located | undefined;
  readonly #lines: LineCounter;

  /** @param valuesMax Most values after aliases are expanded. */
  constructor(text: string, valuesMax = VALUES_MAX) {
    const reader = new DocumentReader(text, valuesMax);
    this.#root = reader.read();
    this.#lines = reader.lines;
    this.problems = reader.problems;
    this.readable = !reader.broken && this.#root !== undefined;
    this.value = this.#root?.value;
  }

  /** Returns a scalar as it is written in the file: `0x10` for 16. */
  textAt(path: ConfigPath): string | undefined {
    let here = this.#root;
    for (const step of path) here = here?.children.get(step);
    return here?.text;
  }

  /**
   * Returns the position of a key or of its value. A path that the file does not have is reported at the nearest key
   * above it.
   */
  position(path: ConfigPath, at: 'key' | 'value'): Position {
    let here = this.#root;
    for (const [depth, step] of path.entries()) {
      const below: Located | undefined = here?.children.get(step);
      if (below === undefined) return this.#positionAt(here?.keyOffset ?? here?.offset);
      here = below;
      if (depth === path.length - 1 && at === 'key') return this.#positionAt(here.keyOffset ?? here.offset);
    }
    return this.#positionAt(here?.offset);
  }

  #positionAt(offset: number | undefined): Position {
    return positionAt(this.#lines, offset ?? 0);
  }
}

class DocumentReader {
  readonly lines = new LineCounter();
  readonly problems: DocumentProblem[] = [];
  broken = false;
  readonly #text: string;
  readonly #anchors = new Map<string, Node>();
  readonly #open = new Set<Node>();
  readonly #valuesMax: number;
  #values = 0;

  constructor(text: string, valuesMax: number) {
    this.#text = text;
    this.#valuesMax = valuesMax;
  }

  read(): Located | undefined {
    const options = { lineCounter: this.lines, prettyErrors: false, strict: true, uniqueKeys: false } as const;
    try {
      const document = parseDocument(this.#text, options);
      const offsets = new Set<number>();
      for (const error of [...document.errors, ...document.warnings]) {
        this.broken = true;
        const offset = isOpenQuote(error) ? lastQuote(document) : undefined;
        // Two errors at one position have the same cause.
        if (offsets.has(error.pos[0])) continue;
        offsets.add(error.pos[0]);
        this.#report(offset ?? error.pos[0], [], plainYamlMessage(error.code, error.message));
      }
      if (this.broken) return undefined;
      return this.#located(document.contents, [], undefined, 0);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.broken = true;
      this.#report(0, [], TOO_DEEP);
      return undefined;
    }
  }

  #located(node: Node | null, path: ConfigPath, keyOffset: number | undefined, after: number): Located {
    const offset = node?.range?.[0] ?? keyOffset ?? after;
    const leaf = (value: unknown): Located => ({ value, offset, keyOffset, children: LEAF });
    this.#values += 1;
    if (this.#values === this.#valuesMax + 1) {
      this.broken = true;
      this.#report(offset, path, `more than ${this.#valuesMax} values after all aliases are expanded`);
    }
    if (this.#values > this.#valuesMax || node === null) return leaf(null);
    if (isAlias(node)) return this.#aliased(node.source, offset, path, keyOffset);
    if ('anchor' in node && node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isScalar(node)) return { ...leaf(node.value), text: node.source };
    this.#open.add(node);
    const children = isMap(node) ? this.#mapChildren(node.items, path) : this.#listChildren(node, path);
    this.#open.delete(node);
    const values = [...children].map(([key, child]) => [String(key), child.value] as const);
    // Object.fromEntries defines own properties, so a key named __proto__ is a normal key.
    const value = isMap(node) ? Object.fromEntries(values) : values.map(([, item]) => item);
    return { value, offset, keyOffset, children };
  }

  #aliased(anchor: string, offset: number, path: ConfigPath, keyOffset: number | undefined): Located {
    const target = this.#anchors.get(anchor);
    if (target !== undefined && !this.#open.has(target)) return this.#located(target, path, keyOffset, offset);
    this.broken = true;
    const why = target === undefined ? `there is no anchor &${anchor} before it` : `it is inside &${anchor} itself`;
    this.#report(offset, path, `invalid alias *${anchor}: ${why}`);
    return { value: null, offset, keyOffset, children: LEAF };
  }

  #listChildren(node: Node, path: ConfigPath): Map<number, Located> {
    const items = isSeq<Node | null>(node) ? node.items : [];
    return new Map(items.map((item, index) => [index, this.#located(item, [...path, index], undefined, 0)]));
  }

  #mapChildren(items: readonly Pair[], path: ConfigPath): Map<string, Located> {
    const children = new Map<string, Located>();
    const merged: Map<string | number, Located>[] = [];
    for (const item of items) {
      // A parsed map contains only nodes, but the type of Pair also allows plain data.
      const { key, value } = item as Pair<Node | null, Node | null>;
      const keyOffset = key?.range?.[0];
      const name = keyText(key);
      if (name === undefined)
        this.#report(keyOffset ?? 0, path, 'expected a plain word as key, found a list, a map or nothing');
      else if (children.has(name)) this.#reportTwice(children.get(name), keyOffset ?? 0, [...path, name]);
      else if (name === '<<') merged.push(...this.#mergeSources(value, path, keyOffset ?? 0));
      else children.set(name, this.#located(value, [...path, name], keyOffset, keyOffset ?? 0));
    }
    // The map's own keys have priority over merged keys. Of several merged maps, the first has priority.
    for (const map of merged)
      for (const [name, child] of map) if (!children.has(String(name))) children.set(String(name), child);
    return children;
  }

  #mergeSources(value: Node | null, path: ConfigPath, keyOffset: number): Map<string | number, Located>[] {
    const source = this.#located(value, path, keyOffset, keyOffset);
    const maps = Array.isArray(source.value) ? [...source.children.values()] : [source];
    if (maps.every((map) => isPlainObject(map.value))) return maps.map((map) => new Map(map.children));
    this.#report(keyOffset, [...path, '<<'], 'expected an alias of a map (<<: *name) or a list of such aliases');
    return [];
  }

  #reportTwice(first: Located | undefined, offset: number, path: ConfigPath): void {
    const { line } = positionAt(this.lines, first?.keyOffset ?? 0);
    this.#report(offset, path, `duplicate key: it is also in line ${line}; remove one of the two`);
  }

  #report(offset: number, path: ConfigPath, message: string): void {
    this.problems.push({ ...positionAt(this.lines, offset), path, message });
  }
}

function isOpenQuote({ code, message }: { readonly code: string; readonly message: string }): boolean {
  return code === 'MISSING_CHAR' && message.includes('quote');
}

/** Returns the start of the last quoted text, because an unclosed quote extends to the end of the file. */
function lastQuote(document: Document<ParsedNode>): number | undefined {
  let offset: number | undefined;
  visit(document, {
    Scalar: (_, { type, range }) => {
      if (type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE') offset = range?.[0];
    },
  });
  return offset;
}

/** Returns a key as text, as in the file: `1:` is '1'. Undefined if it is not a scalar. */
function keyText(key: Node | null): string | undefined {
  if (!isScalar(key) || key.value === null) return undefined;
  return typeof key.value === 'string' ? key.value : key.source;
}

export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns the value at a path, or undefined if there is none. */
export function valueAt(root: unknown, path: ConfigPath): unknown {
  let here = root;
  for (const step of path) {
    if (Array.isArray(here) && typeof step === 'number') here = here[step];
    else if (isPlainObject(here) && Object.hasOwn(here, step)) here = here[step];
    else return undefined;
  }
  return here;
}

function positionAt(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

/**
 * Messages of the YAML parser for users who do not know its grammar, with what to do. Other codes keep the message of
 * the parser.
 * @see https://eemeli.org/yaml/#errors
 */
const MESSAGES: Readonly<Record<string, string>> = {
  BAD_INDENT: 'the indentation does not match the lines above: check it, and check that every [ and { is closed',
  BAD_DQ_ESCAPE: String.raw`unknown escape in double quotes: write \\ for a backslash, or use single quotes`,
  BAD_SCALAR_START: 'a value cannot start with this character: put the value in quotes',
  BLOCK_AS_IMPLICIT_KEY:
    "a second ': ' on one line, or a line indented deeper than the one above: put a text with ': ' in quotes, or fix the indentation",
  BLOCK_IN_FLOW: 'indented YAML inside { } or [ ]: check that the bracket is closed',
  MULTILINE_IMPLICIT_KEY: "expected 'key: value' on one line: check that there is a ':' after the key",
  MULTIPLE_DOCS: "the file has more than one document: remove the line '---'",
  TAB_AS_INDENT: 'a tab indents this line: use spaces',
};

const TOO_DEEP = 'lists or maps are nested too deeply';

/** @param code The parser's error code, such as 'TAB_AS_INDENT'. */
function plainYamlMessage(code: string, message: string): string {
  if (/call stack/i.test(message)) return TOO_DEEP;
  if (code === 'MISSING_CHAR' && message.includes('quote')) return 'a quote is not closed: add the closing quote';
  if (code === 'TAG_RESOLVE_FAILED') return `${message}: remove the tag`;
  const plain = MESSAGES[code];
  return plain ?? `${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}
