import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';

/** A JSON text as plain data, with the line of each object. Comments and trailing commas are accepted. */
export class LocatedJson {
  readonly value: unknown;
  /** The first syntax error; undefined if there is none. */
  readonly error: { readonly line: number; readonly message: string } | undefined;
  readonly #lines = new WeakMap<object, number>();
  readonly #starts: readonly number[];

  constructor(text: string) {
    const content = text.replace(/^\uFEFF/, '');
    this.#starts = [0, ...[...content.matchAll(/\n/g)].map(({ index }) => index + 1)];
    const errors: ParseError[] = [];
    const root = parseTree(content, errors, { allowTrailingComma: true });
    const [first] = errors;
    this.error =
      first === undefined ? undefined : { line: this.#lineAt(first.offset), message: printParseErrorCode(first.error) };
    this.value = root === undefined || first !== undefined ? undefined : this.#plain(root);
  }

  /** Returns the line of an object or array of `value`, from 1. */
  lineOf(value: object): number {
    return this.#lines.get(value) ?? 1;
  }

  #plain(node: Node): unknown {
    if (node.type !== 'object' && node.type !== 'array') return node.value;
    const children = node.children ?? [];
    const value =
      node.type === 'array'
        ? children.map((child) => this.#plain(child))
        : Object.fromEntries(
            children.map(({ children: pair = [] }) => [
              String(pair[0]?.value),
              pair[1] === undefined ? undefined : this.#plain(pair[1]),
            ]),
          );
    this.#lines.set(value, this.#lineAt(node.offset));
    return value;
  }

  #lineAt(offset: number): number {
    let [low, high] = [0, this.#starts.length];
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  }
}
