/** Finds lines in a text whose parser gives no positions. The parsed values are visited in the order of the text. */
export class TextLocator {
  readonly #lines: readonly string[];
  #index = 0;

  constructor(text: string) {
    this.#lines = text.split('\n').map((line) => (/^\s*#/.test(line) ? '' : line));
  }

  /** Present line, from 1. */
  get line(): number {
    return this.#index + 1;
  }

  /** Moves to the next line below the present one that matches; stays if there is none. */
  moveTo(pattern: RegExp): void {
    const start = pattern.test(this.#lines[this.#index] ?? '') && this.#index === 0 ? 0 : this.#index + 1;
    const found = this.#lines.findIndex((line, index) => index >= start && pattern.test(line));
    if (found >= 0) this.#index = found;
  }

  /** Moves to the next `name = "…"` from the present line, and returns its line. */
  lineOf(name: string): number {
    const found = this.#lines.findIndex((line, index) => index >= this.#index && namesIn(line).includes(name));
    if (found >= 0) this.#index = found;
    return this.line;
  }

  /** Returns the line of a key at or below a line, without moving. */
  lineOfKey(key: string, from: number): number {
    const isKey = (line: string) => /^\s*([\w-]+)\s*=/.exec(line)?.[1] === key;
    const found = this.#lines.findIndex((line, index) => index >= from - 1 && isKey(line));
    return found >= 0 ? found + 1 : from;
  }
}

function namesIn(line: string): readonly string[] {
  return [...line.matchAll(/\bname\s*=\s*(["'])(.*?)\1/g)].map(([, , name = '']) => name);
}
