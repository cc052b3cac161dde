import { parse } from 'yaml';
import { branches, type SchemaNode } from './schema-completion.ts';

/** A key of a tag, with its schema. */
export type TagColumn = { readonly key: string; readonly node: SchemaNode; readonly isRequired: boolean };

/** Columns that are shown even if no tag has them. */
const USUAL: ReadonlySet<string> = new Set([
  'value',
  'metric',
  'device',
  'unit',
  'scale',
  'offset',
  'range',
  'deadband',
]);

/** Returns the keys of the tags of a type of source, the required ones first. */
export function tagColumns(schema: SchemaNode, type: string): readonly TagColumn[] {
  const sources = schema.properties?.['sources']?.additionalProperties;
  const kinds = typeof sources === 'object' ? branches(sources) : [];
  const kind = kinds.find(({ properties }) => properties?.['type']?.const === type);
  const tag = kind?.properties?.['tags']?.additionalProperties;
  const { properties = {}, required = [] } = typeof tag === 'object' ? tag : {};
  const columns = Object.entries(properties).map(([key, node]) => ({ key, node, isRequired: required.includes(key) }));
  return columns.toSorted((a, b) => Number(b.isRequired) - Number(a.isRequired));
}

/** Returns the columns that a table needs: required ones, usual ones, and ones that a tag has. */
export function shownColumns(
  columns: readonly TagColumn[],
  tags: readonly Readonly<Record<string, unknown>>[],
): readonly TagColumn[] {
  return columns.filter(({ key, isRequired }) => isRequired || USUAL.has(key) || tags.some((tag) => key in tag));
}

/** Returns the values that a key can have, for a list to choose from; undefined if others are possible. */
export function choicesOf(node: SchemaNode): readonly string[] | undefined {
  const choices = branches(node).map(({ const: constant, enum: values, type }) =>
    constant === undefined ? (values ?? (type === 'boolean' ? [true, false] : undefined)) : [constant],
  );
  return choices.includes(undefined) ? undefined : choices.flatMap((each) => each ?? []).map(String);
}

/** Returns a value as the text of a cell, as in a tag file. */
export function cellText(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value) && value.length === 2 && value.every((end) => typeof end === 'number'))
    return value.join('..');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Returns the value of a cell; undefined if it is empty. A text that does not fit stays a text, which the check reports. */
export function cellValue(text: string, node: SchemaNode): unknown {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  const types = new Set(branches(node).map(({ type, const: constant }) => type ?? typeof constant));
  const has = (...names: readonly string[]) => names.some((name) => types.has(name));
  const ends = /^(.+?)\s*(?:\.\.+|…)\s*(.+)$/.exec(trimmed);
  if (has('array') && ends !== null) return [numberOf(ends[1]), numberOf(ends[2])];
  if (has('array', 'object') && /^[[{]/.test(trimmed)) return structureOf(trimmed);
  if (has('boolean') && (trimmed === 'true' || trimmed === 'false')) return trimmed === 'true';
  return has('number', 'integer') ? numberOf(trimmed) : trimmed;
}

function numberOf(text = ''): number | string {
  const value = Number(text.replace(',', '.'));
  return Number.isFinite(value) ? value : text;
}

function structureOf(text: string): unknown {
  try {
    return parse(text) as unknown;
  } catch {
    return text;
  }
}
