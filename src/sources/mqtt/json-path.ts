import { JSONPathEnvironment, type JSONPathQuery } from 'json-p3';
import { errorMessage } from '../../platform/errors.ts';
import { decodeJson } from './payload-decode.ts';

/** Steps from the root of a JSON document to a value: keys of objects and positions in arrays. */
export type JsonPath = readonly (string | number)[];

/** A compiled path of the configuration. */
export type ValuePath = {
  readonly text: string;
  /** Returns the values at the path. A path of names and positions has at most one. */
  readonly find: (document: unknown) => readonly unknown[];
};

/** The values of a path that should have one. */
export class SeveralValues {
  readonly count: number;

  constructor(count: number) {
    this.count = count;
  }
}

const step = /\.([^\s.[\]'"]+)|\[(0|[1-9]\d{0,8})\]|\['((?:[^'\\]|\\['\\])*)'\]|\["((?:[^"\\]|\\["\\])*)"\]/y;
const environment = new JSONPathEnvironment();
const nothing: readonly unknown[] = [];

/**
 * Compiles a path. Paths of names and positions are read here, because they are the usual ones and this costs a tenth; all
 * others, with filters for example, by a library for RFC 9535. Names without quotes may have any characters but `.`, `[` and
 * blanks, more than the RFC allows.
 *
 * @returns The error as text if the path is invalid.
 */
export function compileValuePath(text: string): ValuePath | string {
  const steps = parseJsonPath(text);
  if (steps !== undefined) {
    const find = (document: unknown) => {
      const value = valueAtPath(document, steps);
      return value === undefined ? nothing : [value];
    };
    return { text, find };
  }
  let query: JSONPathQuery;
  try {
    query = environment.compile(text);
  } catch (error) {
    return errorMessage(error);
  }
  const find = (document: unknown) => {
    // The types of the library are those of JSON without integers beyond 2^53, which are bigint here.
    const values: readonly unknown[] = query.query(document as never).values();
    return values.length > 0 ? values : query.query(withoutJsonTexts(document) as never).values();
  };
  return { text, find };
}

/** Returns the value at the path; undefined if there is none, and `SeveralValues` if there are more than one. */
export function singleValue({ find }: ValuePath, document: unknown): unknown {
  const values = find(document);
  return values.length > 1 ? new SeveralValues(values.length) : values[0];
}

/** Returns the list at the path: the elements of an array, or the values if the path selects several. */
export function listAt({ find }: ValuePath, document: unknown): readonly unknown[] | undefined {
  const values = find(document);
  const [first] = values;
  if (values.length === 1) return Array.isArray(first) ? (first as readonly unknown[]) : undefined;
  return values.length === 0 ? undefined : values;
}

/**
 * Reads the part of JSONPath that names exactly one value: `$.rms`, `$.a.b[0]`, `$['a key'].x`.
 *
 * @returns Undefined if the text is another path, or none.
 * @see RFC 9535, section 2.3.1 (name selector) and 2.3.3 (index selector).
 */
export function parseJsonPath(text: string): JsonPath | undefined {
  if (!text.startsWith('$')) return undefined;
  const path: (string | number)[] = [];
  step.lastIndex = 1;
  while (step.lastIndex < text.length) {
    const match = step.exec(text);
    // A wildcard is a path of the RFC.
    if (match === null || match[1] === '*') return undefined;
    const [, name, index, single, double] = match;
    const quoted = single ?? double;
    if (index !== undefined) path.push(Number(index));
    else path.push(quoted === undefined ? (name ?? '') : quoted.replaceAll(/\\(['"\\])/g, '$1'));
  }
  return path;
}

/**
 * Returns the value at the path; undefined if there is none. Inherited properties are ignored. A text that is JSON itself is read
 * as its document if the path goes into it.
 */
export function valueAtPath(document: unknown, path: JsonPath): unknown {
  let value = document;
  for (const key of path) {
    value = documentOf(value);
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    // An array needs a number, an object a name.
    if (Array.isArray(value) !== (typeof key === 'number')) return undefined;
    value = (value as Readonly<Record<string | number, unknown>>)[key];
  }
  return value;
}

function documentOf(value: unknown): unknown {
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value)) return value;
  const decoded = decodeJson(value);
  return 'document' in decoded ? decoded.document : value;
}

/** Returns a copy in which texts that are JSON are replaced by their documents, one level deep. */
function withoutJsonTexts(document: unknown): unknown {
  const value = documentOf(document);
  if (Array.isArray(value)) return value.map(withoutJsonTexts);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]): [string, unknown] => [key, withoutJsonTexts(entry)]),
  );
}
