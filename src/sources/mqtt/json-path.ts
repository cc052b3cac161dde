/** Steps from the root of a JSON document to a value: keys of objects and positions in arrays. */
export type JsonPath = readonly (string | number)[];

const step = /\.([^\s.[\]'"]+)|\[(0|[1-9]\d{0,8})\]|\['((?:[^'\\]|\\['\\])*)'\]|\["((?:[^"\\]|\\["\\])*)"\]/y;

/**
 * Reads the part of JSONPath that names exactly one value: `$.rms`, `$.a.b[0]`, `$['a key'].x`.
 *
 * @returns Undefined if the text is not a path.
 * @see RFC 9535, section 2.3.1 (name selector) and 2.3.3 (index selector).
 */
export function parseJsonPath(text: string): JsonPath | undefined {
  if (!text.startsWith('$')) return undefined;
  const path: (string | number)[] = [];
  step.lastIndex = 1;
  while (step.lastIndex < text.length) {
    const match = step.exec(text);
    if (match === null) return undefined;
    const [, name, index, single, double] = match;
    const quoted = single ?? double;
    if (index !== undefined) path.push(Number(index));
    else path.push(quoted === undefined ? (name ?? '') : quoted.replaceAll(/\\(['"\\])/g, '$1'));
  }
  return path;
}

/** Formats a path as text that `parseJsonPath` accepts. */
export function formatJsonPath(path: JsonPath): string {
  return `$${path.map(formatStep).join('')}`;
}

function formatStep(key: string | number): string {
  if (typeof key === 'number') return `[${key}]`;
  return /^[^\s.[\]'"]+$/.test(key) ? `.${key}` : `['${key.replaceAll(/['\\]/g, String.raw`\$&`)}']`;
}

/** Returns the value at the path; undefined if there is none. Inherited properties are ignored. */
export function valueAtPath(document: unknown, path: JsonPath): unknown {
  let value = document;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    // An array needs a number, an object a name.
    if (Array.isArray(value) !== (typeof key === 'number')) return undefined;
    value = (value as Readonly<Record<string | number, unknown>>)[key];
  }
  return value;
}
