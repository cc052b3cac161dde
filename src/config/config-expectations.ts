import { parseByteSize } from '../domain/byte-size.ts';
import { parseDurationMs } from '../domain/duration.ts';
import { isPlainObject } from '../platform/positioned-document.ts';
import { branches, fieldKind, mayHoldSecret, type SchemaNode } from './config-json-schema.ts';
import { nearest } from '../domain/nearest-word.ts';

const TEXT_SHOWN_MAX = 60;
const NAMES_SHOWN_MAX = 6;

/** Describes the values that a field accepts: 'a whole number from 1 to 125', 'one of holding, input'. */
export function expectedOf(node: SchemaNode): string {
  const kind = fieldKind(node);
  if (kind === 'duration') return 'a duration such as 100ms, 5s, 10m or 7d';
  if (kind === 'size') return 'a size such as 64kB, 512MB or 2GB';
  if (kind === 'secret') return '{ env: NAME } or { file: PATH }';
  const all = branches(node);
  if (mayHoldSecret(node)) return 'a text, { env: NAME } or { file: PATH }';
  const types = all.flatMap(({ properties }) => properties?.['type']?.const ?? []);
  if (all.length > 1 && types.length === all.length) return `a map with type: ${types.map(String).join(' or ')}`;
  if (all.length > 1) return [...new Set(all.map(expectedOf))].join(' or ');
  if (node.const !== undefined) return textOf(node.const);
  if (node.enum !== undefined) return `one of ${node.enum.map(String).join(', ')}`;
  switch (node.type ?? 'string') {
    case 'integer':
      return `a whole number${rangeOf(node)}`;
    case 'number':
      return `a number${rangeOf(node)}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return listOf(node);
    case 'object':
      return mapOf(node);
    default:
      return node.minLength === 1 ? 'a text that is not empty' : 'a text';
  }
}

function rangeOf(node: SchemaNode): string {
  const min = chosenBound(node.minimum);
  const max = chosenBound(node.maximum);
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) return ` of ${min} or more`;
  if (max !== undefined) return ` of ${max} or less`;
  if (node.exclusiveMinimum !== undefined) return ` above ${node.exclusiveMinimum}`;
  return node.exclusiveMaximum === undefined ? '' : ` below ${node.exclusiveMaximum}`;
}

/** Returns a bound, or undefined for the bounds of the safe integers, which zod adds to every whole number. */
function chosenBound(bound: number | undefined): number | undefined {
  return bound === undefined || Math.abs(bound) >= Number.MAX_SAFE_INTEGER ? undefined : bound;
}

function listOf({ prefixItems, items, minItems }: SchemaNode): string {
  if (prefixItems !== undefined) return `a list [${prefixItems.map(expectedOf).join(', ')}]`;
  const choices = typeof items === 'object' ? items.enum : undefined;
  const what = choices === undefined ? 'a list' : `a list of ${choices.map(String).join(', ')}`;
  if (minItems === undefined) return what;
  return `${what} with at least ${minItems === 1 ? 'one entry' : `${minItems} entries`}`;
}

function mapOf({ properties, additionalProperties }: SchemaNode): string {
  const keys = Object.keys(properties ?? {});
  if (typeof additionalProperties === 'object') return "a map of 'name: …' entries";
  if (keys.length === 0) return 'a map';
  return `a map with the keys ${shortList(keys)}`;
}

function shortList(names: readonly string[]): string {
  return names.length <= NAMES_SHOWN_MAX ? names.join(', ') : `${names.slice(0, NAMES_SHOWN_MAX).join(', ')}, …`;
}

/** Returns a value as in the file, shortened if long and without a password in a URL. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (typeof value === 'string') {
    const shown = value.length > TEXT_SHOWN_MAX ? `${value.slice(0, TEXT_SHOWN_MAX)}…` : value;
    return `'${withoutPassword(shown).replaceAll(/\p{Cc}/gu, '?')}'`;
  }
  if (typeof value === 'number')
    return Number.isNaN(value) ? '.nan (not a number)' : String(value).replace('Infinity', '.inf');
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return listText(value);
  const keys = isPlainObject(value) ? Object.keys(value) : [];
  return keys.length === 0 ? 'an empty map' : `a map with ${shortList(keys)}`;
}

function listText(list: readonly unknown[]): string {
  if (list.length === 0) return 'an empty list';
  const isShort = list.length <= NAMES_SHOWN_MAX && list.every((item) => ['string', 'number'].includes(typeof item));
  return isShort ? `[${list.map(textOf).join(', ')}]` : `a list of ${list.length}`;
}

function withoutPassword(text: string): string {
  return text.replace(/(\/\/[^/:@]*):[^/@]*(@|…)/, '$1:***$2');
}

/** Returns a hint such as '; did you mean …?' to append to a message, or '' if there is none. */
export function hintFor(node: SchemaNode, value: unknown): string {
  if (value === null) return '; give it a value or remove the key';
  const kind = fieldKind(node);
  if (kind === 'duration') return didYouMean(durationMeant(value));
  if (kind === 'size') return didYouMean(sizeMeant(value));
  const choices = branches(node).flatMap((branch) => branch.enum ?? (branch.const === undefined ? [] : [branch.const]));
  if (choices.length > 0 && typeof value === 'string') {
    const near = didYouMean(nearest(value, choices.map(String)));
    if (near !== '') return near;
  }
  const all = branches(node);
  if (all.some((branch) => fieldKind(branch) === 'duration')) return didYouMean(durationMeant(value));
  if (all.length > 1) return '';
  switch (node.type ?? 'string') {
    case 'integer':
    case 'number':
      return typeof value === 'string' ? numberHint(value, node.type === 'integer') : '';
    case 'boolean':
      return didYouMean(booleanMeant(value));
    case 'string':
      return typeof value === 'number' || typeof value === 'boolean' ? `; put it in quotes: '${value}'` : '';
    case 'array':
      return node.prefixItems === undefined && typeof value === 'string' ? didYouMean(`[${value}]`) : '';
    default:
      return '';
  }
}

function didYouMean(text: string | undefined): string {
  return text === undefined ? '' : `; did you mean ${text}?`;
}

const DURATION_WORDS: readonly (readonly [RegExp, string])[] = [
  [/^(ms|msec|msecs|millis|milliseconds?)$/, 'ms'],
  [/^(s|sec|secs|seconds?)$/, 's'],
  [/^(m|min|mins|minutes?)$/, 'm'],
  [/^(h|hr|hrs|hours?)$/, 'h'],
  [/^(d|days?)$/, 'd'],
];

/** A number without unit below this is read as seconds: a wait of 5 ms and a scan interval of 100 s are both rare. */
const BARE_SECONDS_MAX = 60;

function durationMeant(value: unknown): string | undefined {
  const [, amount, word] = /^\s*(\d+(?:[.,]\d+)?)\s*([a-z]*)\s*$/i.exec(String(value)) ?? [];
  if (amount === undefined || word === undefined) return undefined;
  const plain = amount.replace(',', '.');
  if (word === '') return `${plain}${Number(plain) < BARE_SECONDS_MAX ? 's' : 'ms'}`;
  const unit = DURATION_WORDS.find(([pattern]) => pattern.test(word.toLowerCase()))?.[1];
  const text = `${plain}${unit ?? ''}`;
  return unit === undefined || text === value || parseDurationMs(text) === undefined ? undefined : text;
}

function sizeMeant(value: unknown): string | undefined {
  const [, amount, letter] = /^\s*(\d+(?:[.,]\d+)?)\s*([kmg]?)i?b?(?:ytes?)?\s*$/i.exec(String(value)) ?? [];
  if (amount === undefined || letter === undefined) return undefined;
  const plain = amount.replace(',', '.');
  const unit = { k: 'kB', m: 'MB', g: 'GB' }[letter.toLowerCase()] ?? (Number(plain) % 1e6 === 0 ? undefined : 'B');
  const text = unit === undefined ? `${Number(plain) / 1e6}MB` : `${plain}${unit}`;
  return text === value || parseByteSize(text) === undefined ? undefined : text;
}

function numberHint(text: string, isWhole: boolean): string {
  const plain = text.replaceAll(/[_\s]/g, '').replace(',', '.');
  const number = plain === '' ? NaN : Number(plain);
  if (Number.isFinite(number) && (!isWhole || Number.isInteger(number)))
    return plain === text ? '; write it without quotes' : didYouMean(plain);
  const address = isWhole ? addressHint(text) : '';
  if (address !== '') return address;
  return /^\d+(\.\d+)?\s*[a-z%°]+/i.test(text) ? '; write the number alone, without a unit' : '';
}

/** A Modbus address as PLC programs (%MW100) or manuals (4x00001) write it. */
function addressHint(text: string): string {
  const [, word] = /^%MW(\d+)$/i.exec(text) ?? [];
  if (word !== undefined) return `; write register: holding, address: ${Number(word)}`;
  const [, space, number] = /^([134])x(\d{4,5})$/i.exec(text) ?? [];
  return space === undefined || number === undefined
    ? ''
    : `; write the number of a manual without the x and without register: ${space}${number}`;
}

function booleanMeant(value: unknown): string | undefined {
  const text = String(value).toLowerCase();
  if (['yes', 'on', '1', 'true', 'y'].includes(text)) return 'true';
  return ['no', 'off', '0', 'false', 'n'].includes(text) ? 'false' : undefined;
}
