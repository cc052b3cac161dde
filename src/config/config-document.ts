import type { Document, Node, Pair, ParsedNode } from 'yaml';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import { plainYamlMessage, TOO_DEEP } from './config-yaml-messages.ts';

/** Keys and list positions from the top. */
export type ConfigPath = readonly (string | number)[];

/** Lines and columns count from 1. */
export type Position = { readonly line: number; readonly column: number };

/** Something wrong in the file, before it has a file name. */
export type DocumentProblem = Position & { readonly path: ConfigPath; readonly message: string };

/**
 * Most values a configuration may come to once its aliases are written out. A plant of 10,000 tags has fewer;
 * nine lines of nested aliases can ask for a billion.
 */
const VALUES_MAX = 200_000;

/** A value of the file with the places of its key and of itself, and the values below it. */
type Located = {
  readonly value: unknown;
  readonly offset: number;
  readonly keyOffset: number | undefined;
  readonly children: ReadonlyMap<string | number, Located>;
};

/** A YAML file as plain data, and where in the file each piece of it stands. */
export class ConfigDocument {
  /** What the file says, in plain objects, arrays, strings, numbers and booleans; undefined where it can't be read. */
  readonly value: unknown;
  /** Problems of the text itself: syntax, duplicate keys, aliases. */
  readonly problems: readonly DocumentProblem[];
  /** False where the text is so broken that checking its content would only mislead. */
  readonly readable: boolean;
  readonly #root: Located | undefined;
  readonly #lines: LineCounter;

  constructor(text: string) {
    const reader = new DocumentReader(text);
    this.#root = reader.read();
    this.#lines = reader.lines;
    this.problems = reader.problems;
    this.readable = !reader.broken && this.#root !== undefined;
    this.value = this.#root?.value;
  }

  /**
   * Where a piece of the configuration stands: its key, or its value. A path that the file does not have is
   * shown at the nearest key above it.
   */
  position(path: ConfigPath, at: 'key' | 'value'): Position {
    let here = this.#root;
    for (const [depth, step] of path.entries()) {
      const below: Located | undefined = here?.children.get(step);
      if (below === undefined) return this.#place(here?.keyOffset ?? here?.offset);
      here = below;
      if (depth === path.length - 1 && at === 'key') return this.#place(here.keyOffset ?? here.offset);
    }
    return this.#place(here?.offset);
  }

  #place(offset: number | undefined): Position {
    return placeOf(this.#lines, offset ?? 0);
  }
}

class DocumentReader {
  readonly lines = new LineCounter();
  readonly problems: DocumentProblem[] = [];
  broken = false;
  readonly #text: string;
  readonly #anchors = new Map<string, Node>();
  readonly #open = new Set<Node>();
  #values = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): Located | undefined {
    const options = { lineCounter: this.lines, prettyErrors: false, strict: true, uniqueKeys: false } as const;
    try {
      const document = parseDocument(this.#text, options);
      const offsets = new Set<number>();
      for (const error of [...document.errors, ...document.warnings]) {
        this.broken = true;
        const offset = isOpenQuote(error) ? lastQuote(document) : undefined;
        // Two complaints about one place are one mistake.
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
    const leaf = (value: unknown): Located => ({ value, offset, keyOffset, children: new Map() });
    this.#values += 1;
    if (this.#values === VALUES_MAX + 1) {
      this.broken = true;
      this.#report(offset, path, `more than ${VALUES_MAX} values once all aliases are written out`);
    }
    if (this.#values > VALUES_MAX || node === null) return leaf(null);
    if (isAlias(node)) return this.#aliased(node.source, offset, path, keyOffset);
    if ('anchor' in node && node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isScalar(node)) return leaf(node.value);
    this.#open.add(node);
    const children = isMap(node) ? this.#mapChildren(node.items, path) : this.#listChildren(node, path);
    this.#open.delete(node);
    const values = [...children].map(([key, child]) => [String(key), child.value] as const);
    // Object.fromEntries defines own properties, so that a key named __proto__ stays a key like any other.
    const value = isMap(node) ? Object.fromEntries(values) : values.map(([, item]) => item);
    return { value, offset, keyOffset, children };
  }

  #aliased(anchor: string, offset: number, path: ConfigPath, keyOffset: number | undefined): Located {
    const target = this.#anchors.get(anchor);
    if (target !== undefined && !this.#open.has(target)) return this.#located(target, path, keyOffset, offset);
    this.broken = true;
    const why = target === undefined ? `no anchor &${anchor} stands before it` : `it stands inside &${anchor} itself`;
    this.#report(offset, path, `the alias *${anchor} refers to nothing: ${why}`);
    return { value: null, offset, keyOffset, children: new Map() };
  }

  #listChildren(node: Node, path: ConfigPath): Map<number, Located> {
    const items = isSeq<Node | null>(node) ? node.items : [];
    return new Map(items.map((item, index) => [index, this.#located(item, [...path, index], undefined, 0)]));
  }

  #mapChildren(items: readonly Pair[], path: ConfigPath): Map<string, Located> {
    const children = new Map<string, Located>();
    const merged: Map<string | number, Located>[] = [];
    for (const item of items) {
      // A parsed map holds nodes only; Pair's type allows plain data too.
      const { key, value } = item as Pair<Node | null, Node | null>;
      const keyOffset = key?.range?.[0];
      const name = keyText(key);
      if (name === undefined)
        this.#report(keyOffset ?? 0, path, 'a key must be a plain word, not a list, a map or nothing');
      else if (children.has(name)) this.#reportTwice(children.get(name), keyOffset ?? 0, [...path, name]);
      else if (name === '<<') merged.push(...this.#mergeSources(value, path, keyOffset ?? 0));
      else children.set(name, this.#located(value, [...path, name], keyOffset, keyOffset ?? 0));
    }
    // What the map says itself wins over what it merges; of several merged maps the first wins.
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
    const { line } = placeOf(this.lines, first?.keyOffset ?? 0);
    this.#report(offset, path, `this key stands already in line ${line}: remove one of the two`);
  }

  #report(offset: number, path: ConfigPath, message: string): void {
    this.problems.push({ ...placeOf(this.lines, offset), path, message });
  }
}

function isOpenQuote({ code, message }: { readonly code: string; readonly message: string }): boolean {
  return code === 'MISSING_CHAR' && message.includes('quote');
}

/** Where the last text in quotes begins: a quote that is never closed reaches to the end of the file. */
function lastQuote(document: Document<ParsedNode>): number | undefined {
  let offset: number | undefined;
  visit(document, {
    Scalar: (_, { type, range }) => {
      if (type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE') offset = range?.[0];
    },
  });
  return offset;
}

/** A key as text: `1:` is '1', as written; undefined where it is no scalar. */
function keyText(key: Node | null): string | undefined {
  if (!isScalar(key) || key.value === null) return undefined;
  return typeof key.value === 'string' ? key.value : key.source;
}

export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What stands at a path; undefined where nothing does. */
export function valueAt(root: unknown, path: ConfigPath): unknown {
  let here = root;
  for (const step of path) {
    if (Array.isArray(here) && typeof step === 'number') here = here[step];
    else if (isPlainObject(here) && Object.hasOwn(here, step)) here = here[step];
    else return undefined;
  }
  return here;
}

function placeOf(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}
