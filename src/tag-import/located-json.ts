import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import { LineCounter } from 'yaml';
import type { ImportDraft } from './imported-tags.ts';

/** A JSON text as plain data, with the line of each object. Comments and trailing commas are accepted. */
export class LocatedJson {
  readonly value: unknown;
  readonly #lines = new WeakMap<object, number>();
  readonly #starts = new LineCounter();

  /** @param draft Receives the first syntax error; the value is undefined then. */
  constructor(text: string, draft: ImportDraft) {
    const content = text.replace(/^\uFEFF/, '');
    for (const { index } of content.matchAll(/^/gm)) this.#starts.addNewLine(index);
    const errors: ParseError[] = [];
    const root = parseTree(content, errors, { allowTrailingComma: true });
    const [first] = errors;
    if (first !== undefined) {
      const [line, found] = [this.#starts.linePos(first.offset).line, printParseErrorCode(first.error)];
      draft.addFinding({ line, found, reason: 'the file is not valid JSON', remedy: 'export it again' });
    } else if (root !== undefined) this.value = this.#plain(root);
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
    this.#lines.set(value, this.#starts.linePos(node.offset).line);
    return value;
  }
}
