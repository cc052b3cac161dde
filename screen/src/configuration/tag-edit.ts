import { isMap, isScalar, type Pair, parseDocument, type YAMLMap } from 'yaml';
import { flowEntry, withEntry } from './document-edit.ts';

/** A change of one tag of a source. */
export type TagChange =
  /** Makes the tag if there is none. A field that is undefined is removed; fields that are not named stay. */
  | { readonly kind: 'set'; readonly name: string; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string }
  | { readonly kind: 'remove'; readonly name: string };

/** Replaces a part of the text. */
type Splice = { readonly from: number; readonly to: number; readonly insert: string };
type Range = readonly [number, number];

/**
 * Returns the text with changed tags of a source. Everything else stays as it is, with its comments and its form.
 *
 * @throws {Error} if the text is not valid YAML, if a tag is not a map, or if a comment would be lost.
 */
export function withTags(text: string, source: string, changes: readonly TagChange[]): string {
  const path = ['sources', source, 'tags'];
  const tags = tagsMap(text, path);
  const known = new Set(tags?.items.map(({ key }) => keyText(key)));
  const isNew = ({ kind, name }: TagChange) => kind === 'set' && !known.has(name);
  const within = changes.filter((change) => change.kind !== 'remove' && !isNew(change));
  const changed =
    tags === undefined
      ? text
      : spliced(
          text,
          within.flatMap((change) => tagSplices(text, tags, change)),
        );
  return withNewTags(
    changed,
    path,
    changes.flatMap((change): readonly (readonly [string, unknown])[] => {
      if (change.kind === 'remove') return known.has(change.name) ? [[change.name, undefined]] : [];
      return change.kind === 'set' && isNew(change) ? [[change.name, present(change.fields)]] : [];
    }),
  );
}

/** Adds tags, and removes those whose value is undefined. */
function withNewTags(text: string, path: readonly string[], changes: readonly (readonly [string, unknown])[]): string {
  const [first, ...more] = changes;
  if (first === undefined) return text;
  const tags = tagsMap(text, path);
  if (tags !== undefined && tags.items.length > 0) return spliced(text, mapSplices(text, tags, new Map(changes)));
  // The map does not exist yet: its first entry makes it.
  return withNewTags(withEntry(text, [...path, first[0]], first[1], 'line'), path, more);
}

function tagsMap(text: string, path: readonly string[]): YAMLMap | undefined {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined) throw new Error(error.message);
  const node: unknown = document.getIn(path, true);
  return isMap(node) ? node : undefined;
}

function tagSplices(text: string, tags: YAMLMap, change: TagChange): readonly Splice[] {
  const pair = tags.items.find(({ key }) => keyText(key) === change.name);
  if (pair === undefined || change.kind === 'remove') return [];
  if (change.kind === 'rename') {
    if (tags.items.some(({ key }) => keyText(key) === change.to)) throw new Error(`${change.to} exists already`);
    const [from, to] = rangeOf(pair.key);
    return [{ from, to, insert: flowEntry([change.to], 0).slice(0, -': 0'.length) }];
  }
  const { value } = pair;
  if (!isMap(value)) throw new Error(`${change.name} is not a map: change it in the file`);
  return mapSplices(text, value, new Map(Object.entries(change.fields)));
}

/** Changes entries of a map; undefined removes one. */
function mapSplices(text: string, map: YAMLMap, changes: ReadonlyMap<string, unknown>): readonly Splice[] {
  const known = new Set(map.items.map(({ key }) => keyText(key)));
  const added = [...changes].filter(([key, value]) => value !== undefined && !known.has(key));
  const [start, end] = rangeOf(map);
  const isRemoved = ({ key }: Pair) => changes.has(keyText(key)) && changes.get(keyText(key)) === undefined;
  if (map.flow === true && map.items.some(isRemoved)) {
    refuseComments(text.slice(start, end));
    const kept = map.items.filter((pair) => !isRemoved(pair));
    const entries = [
      ...kept.map((pair) => changedEntry(text, pair, changes)),
      ...added.map(([key, value]) => flowEntry([key], value)),
    ];
    return [{ from: start, to: end, insert: entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }` }];
  }
  const replaced = map.items
    .filter((pair) => changes.get(keyText(pair.key)) !== undefined)
    .map((pair) => {
      const [from, to] = entryRange(text, pair);
      refuseComments(text.slice(from, to));
      return { from, to, insert: changedEntry(text, pair, changes) };
    });
  const removed = map.items.filter(isRemoved).map((pair) => {
    const [from, to] = entryRange(text, pair);
    return { from: lineStart(text, from), to: lineEnd(text, to), insert: '' };
  });
  return [...replaced, ...removed, ...addedEntries(text, map, added)];
}

function addedEntries(text: string, map: YAMLMap, added: readonly (readonly [string, unknown])[]): readonly Splice[] {
  if (added.length === 0) return [];
  const [start] = rangeOf(map);
  const last = map.items.at(-1);
  const at = last === undefined ? start + 1 : entryRange(text, last)[1];
  const entries = added.map(([key, value]) => flowEntry([key], value));
  if (map.flow === true) {
    const insert = last === undefined ? ` ${entries.join(', ')} ` : `, ${entries.join(', ')}`;
    return [{ from: at, to: at, insert }];
  }
  const pad = ' '.repeat(start - lineStart(text, start));
  const from = lineEnd(text, at);
  const lines = entries.map((entry) => `${pad}${entry}\n`).join('');
  return [{ from, to: from, insert: text[from - 1] === '\n' ? lines : `\n${lines}` }];
}

function changedEntry(text: string, pair: Pair, changes: ReadonlyMap<string, unknown>): string {
  const value = changes.get(keyText(pair.key));
  return value === undefined ? text.slice(...entryRange(text, pair)) : flowEntry([keyText(pair.key)], value);
}

/** Range from the key to the end of the value, without the blanks and comments after it. */
function entryRange(text: string, { key, value }: Pair): Range {
  const [from, keyEnd] = rangeOf(key);
  const [, end] = value === null ? [from, keyEnd] : rangeOf(value);
  return [from, text.slice(0, Math.max(keyEnd, end)).trimEnd().length];
}

function rangeOf(node: unknown): Range {
  const { range } = node as { readonly range?: readonly [number, number, number] | null };
  if (range === undefined || range === null)
    throw new Error('This part of the text has no place: change it in the file');
  return [range[0], range[1]];
}

function refuseComments(text: string): void {
  const bare = text.replaceAll(/"(?:[^"\\]|\\.)*"|'[^']*'/g, '');
  if (/(?:^|\s)#/.test(bare)) throw new Error('This value has a comment in it: change it in the file');
}

function present(fields: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : '';
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

/** Returns the offset after the end of the line. */
function lineEnd(text: string, offset: number): number {
  const end = text.indexOf('\n', offset);
  return end === -1 ? text.length : end + 1;
}

function spliced(text: string, splices: readonly Splice[]): string {
  // Later edits first, so that the offsets of the others stay right.
  return splices
    .toSorted((a, b) => b.from - a.from || b.to - a.to)
    .reduce((rest, { from, to, insert }) => rest.slice(0, from) + insert + rest.slice(to), text);
}
