import { DataType, type Variant, VariantArrayType } from 'node-opcua-client';
import { numberOfText, type ValueMap } from '../../text-value.ts';
import type { PathStep } from '../value-path.ts';

/**
 * Value of a tag as a number; `isExact` is false for an integer that float64 cannot represent. `found` describes a value
 * that is not a number, or that the path does not lead to.
 */
export type VariantNumber =
  | { readonly value: number; readonly isExact: boolean }
  | { readonly value: undefined; readonly found: string };

const SHOWN_MAX = 40;

/** A value with its type, if that is known: a 64-bit integer is a pair of words, like an array of two elements. */
type Typed = { readonly value: unknown; readonly type: string; readonly dimensions: readonly number[] | undefined };

/**
 * Returns the number at a path of a variant: booleans are 0 and 1, times are epoch milliseconds.
 *
 * @param path Undefined for the whole value.
 * @param map Numbers of texts, of the tag.
 */
export function variantNumber(
  variant: Variant,
  path: readonly PathStep[] | undefined,
  map: ValueMap | undefined,
): VariantNumber {
  let at = typedOf(variant);
  for (const step of path ?? []) {
    const next = typeof step === 'string' ? field(at, step) : element(at, step);
    if (typeof next === 'string') return { value: undefined, found: next };
    at = next;
  }
  return numberOf(at, map);
}

function typedOf(variant: Variant): Typed {
  const { dataType, arrayType, value, dimensions } = variant;
  const type = DataType[dataType] ?? String(dataType);
  // A null array has no elements.
  const lengths = (dimensions?.length ?? 0) > 0 ? dimensions : [lengthOf(value)];
  return { value, type, dimensions: arrayType === VariantArrayType.Scalar ? undefined : (lengths ?? undefined) };
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) || ArrayBuffer.isView(value) ? (value as ArrayLike<unknown>).length : 0;
}

function element({ value, type, dimensions }: Typed, indexes: readonly number[]): Typed | string {
  if (dimensions === undefined) return `${article(type)}, which is not an array`;
  if (dimensions.length !== indexes.length)
    return `an array with ${dimensions.length} dimensions for the indexes [${indexes.join(',')}]`;
  if (indexes.some((index, dimension) => index >= (dimensions[dimension] ?? 0)))
    return `an array of ${dimensions.join(' × ')} elements, without the element [${indexes.join(',')}]`;
  const position = indexes.reduce((sum, index, dimension) => sum * (dimensions[dimension] ?? 0) + index, 0);
  return unwrapped((value as ArrayLike<unknown>)[position], type);
}

/** Field of a structure. The library writes the first letter of a field in lower case. */
function field({ value, type, dimensions }: Typed, name: string): Typed | string {
  if (dimensions !== undefined || typeof value !== 'object' || value === null || Array.isArray(value))
    return `${dimensions === undefined ? article(type) : 'an array'}, which has no field ${name}`;
  const fields = value as Readonly<Record<string, unknown>> & { readonly schema?: Schema };
  const key = [name, name.charAt(0).toLowerCase() + name.slice(1)].find((each) => Object.hasOwn(fields, each));
  if (key === undefined) {
    const known = Object.keys(fields).filter((each) => each !== 'schema');
    return `a structure without the field ${name}; fields: ${known.join(', ').slice(0, SHOWN_MAX * 4)}`;
  }
  const definition = fields.schema?.fields.find((each) => each.name === key);
  const found = fields[key];
  if (definition?.isArray === true || (definition === undefined && ArrayBuffer.isView(found)))
    return { value: found, type: definition?.fieldType ?? 'unknown', dimensions: [lengthOf(found)] };
  return unwrapped(found, definition?.fieldType ?? 'unknown');
}

type Schema = {
  readonly fields: readonly { readonly name: string; readonly fieldType: string; readonly isArray?: boolean }[];
};

/** A member of the type Variant has a type of its own. */
function unwrapped(value: unknown, type: string): Typed {
  if (typeof value === 'object' && value !== null && 'arrayType' in value && 'dataType' in value)
    return typedOf(value as Variant);
  return { value, type, dimensions: undefined };
}

function numberOf({ value, type, dimensions }: Typed, map: ValueMap | undefined): VariantNumber {
  if (dimensions !== undefined)
    return notNumber(`an array of ${dimensions.join(' × ')} elements: set path, such as [0]`);
  if (value === null || value === undefined) return notNumber('null');
  if (type === 'Int64' || type === 'UInt64') return wideInteger(value, type === 'Int64');
  if (typeof value === 'boolean') return { value: value ? 1 : 0, isExact: true };
  if (typeof value === 'number') return { value, isExact: true };
  if (typeof value === 'string') return textNumber(value, map);
  return typeof value === 'object' ? objectNumber(value, type, map) : notNumber(typeof value);
}

function objectNumber(value: object, type: string, map: ValueMap | undefined): VariantNumber {
  if (value instanceof Date) return { value: value.getTime(), isExact: true };
  if (type === 'LocalizedText' && 'text' in value && typeof value.text === 'string') return textNumber(value.text, map);
  if (type === 'ExtensionObject' || !Array.isArray(value))
    return notNumber(
      `${type === 'ExtensionObject' ? 'a structure' : article(type)}: set path to the field with the value`,
    );
  return notNumber(article(type));
}

/** @param value High and low word. */
function wideInteger(value: unknown, isSigned: boolean): VariantNumber {
  if (!Array.isArray(value) || value.length !== 2) return notNumber('an integer of 64 bits in an unknown form');
  const bits = (BigInt(Number(value[0]) >>> 0) << 32n) | BigInt(Number(value[1]) >>> 0);
  const number = Number(isSigned ? BigInt.asIntN(64, bits) : bits);
  return { value: number, isExact: Number.isSafeInteger(number) };
}

function textNumber(text: string, map: ValueMap | undefined): VariantNumber {
  const value = numberOfText(text, map);
  return value === undefined ? notNumber(JSON.stringify(text.slice(0, SHOWN_MAX))) : { value, isExact: true };
}

function notNumber(found: string): VariantNumber {
  return { value: undefined, found };
}

function article(type: string): string {
  return type === 'unknown' ? 'a value of another type' : `a value of type ${type}`;
}
