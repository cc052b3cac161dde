import { isMap, isScalar, parseDocument, stringify, type YAMLMap } from 'yaml';

/**
 * Returns the text with one entry added. Everything else stays as it is, with its comments and its form.
 *
 * @param path Keys from the root; missing maps are made.
 * @param form 'line' for an entry on one line.
 * @throws {Error} if the text is not valid YAML, or if the entry or a value above it is in the way.
 */
export function withEntry(
  text: string,
  path: readonly string[],
  value: unknown,
  form: 'block' | 'line' = 'block',
): string {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined) throw new Error(error.message);
  let map = document.contents as unknown;
  let depth = 0;
  for (; depth < path.length; depth += 1) {
    const below: unknown = isMap(map) ? map.get(path[depth], true) : undefined;
    if (!isMap(below)) break;
    map = below;
  }
  const rest = path.slice(depth);
  const [key = '', ...more] = rest;
  if (!isMap(map) || map.range === undefined || map.range === null) return `${text}${entryText(rest, value, form, 0)}`;
  const pair = map.items.find(({ key: each }) => isScalar(each) && String(each.value) === key);
  if (pair === undefined) return inserted(text, map, rest, value, form);
  const { key: present, value: old } = pair;
  // `watches:` alone has no value yet.
  if (more.length === 0 || !isScalar(present) || !isScalar(old) || old.value !== null || map.flow === true)
    throw new Error(`${path.join('.')} exists already`);
  const start = present.range?.[0] ?? 0;
  return atLineEnd(text, start, entryText(more, value, form, columnOf(text, start) + 2));
}

function inserted(text: string, map: YAMLMap, path: readonly string[], value: unknown, form: 'block' | 'line'): string {
  const [start = 0, end = 0] = map.range ?? [];
  if (map.flow === true) {
    const entry = flowEntry(path, value);
    const before = text.slice(0, end - 1).trimEnd();
    return `${before}${map.items.length === 0 ? ' ' : ', '}${entry} ${text.slice(end - 1)}`;
  }
  const last = text.slice(0, end).trimEnd().length;
  return atLineEnd(text, last, entryText(path, value, form, columnOf(text, start)));
}

/** Returns an entry for a map in braces, where a text with a comma has quotation marks. */
export function flowEntry(path: readonly string[], value: unknown): string {
  const nested = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
  return stringify(nested, { collectionStyle: 'flow', lineWidth: 0 }).trim().slice(2, -2);
}

function columnOf(text: string, offset: number): number {
  return offset - (text.lastIndexOf('\n', offset - 1) + 1);
}

/** Inserts lines after the line of an offset. */
function atLineEnd(text: string, offset: number, lines: string): string {
  const end = text.indexOf('\n', offset);
  return end === -1 ? `${text}\n${lines}` : text.slice(0, end + 1) + lines + text.slice(end + 1);
}

function entryText(path: readonly string[], value: unknown, form: 'block' | 'line', indent: number): string {
  const [key = '', ...more] = path;
  const pad = ' '.repeat(indent);
  const name = stringify(key).trim();
  if (more.length > 0) return `${pad}${name}:\n${entryText(more, value, form, indent + 2)}`;
  if (form === 'line') return `${pad}${name}: ${stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim()}\n`;
  return `${pad}${name}:\n${stringify(value, { lineWidth: 0 }).replaceAll(/^(?=.)/gm, `${pad}  `)}`;
}

/** Returns the value at a path of the text; undefined if there is none. */
export function entryOf(text: string, path: readonly string[]): unknown {
  const value: unknown = parseDocument(text).toJS();
  return path.reduce<unknown>(
    (here, key) =>
      typeof here === 'object' && here !== null ? (here as Readonly<Record<string, unknown>>)[key] : undefined,
    value,
  );
}
