import { dataTypes, type MetricValue } from '../../protocols/sparkplug/sparkplug-payload.ts';
import { numberOfText, type ValueMap } from '../text-value.ts';

/**
 * Value of a metric as a number; `isExact` is false for an integer that float64 cannot represent. `found` describes a value
 * that is not a number, or of which the sender left open which number it is.
 */
export type MetricNumber =
  | { readonly value: number; readonly isExact: boolean }
  | { readonly value: undefined; readonly found: string };

/** Characters of a text that are shown. */
const SHOWN_MAX = 40;
/** Bits of the integer types; negative for signed ones. */
const integerBits: Readonly<Record<number, number>> = {
  [dataTypes.Int8]: -8,
  [dataTypes.Int16]: -16,
  [dataTypes.Int32]: -32,
  [dataTypes.Int64]: -64,
  [dataTypes.UInt8]: 8,
  [dataTypes.UInt16]: 16,
  [dataTypes.UInt32]: 32,
  [dataTypes.UInt64]: 64,
  [dataTypes.DateTime]: 64,
};
const typeNames: ReadonlyMap<number, string> = new Map(Object.entries(dataTypes).map(([name, type]) => [type, name]));

/**
 * @param dataType Data type of the metric; DATA messages omit it, and the type of the birth applies.
 * @param map Numbers of texts, of the tag.
 * @see Sparkplug 3.0, section 6.4.16: signed integers are encoded as unsigned ones with the same bits.
 */
export function metricNumber(
  metric: MetricValue,
  dataType: number | undefined,
  map: ValueMap | undefined,
): MetricNumber {
  switch (metric.kind) {
    case 'boolean':
      return { value: metric.value ? 1 : 0, isExact: true };
    case 'float':
    case 'double':
      return { value: metric.value, isExact: true };
    case 'int':
      return integer(BigInt(metric.value), 32, dataType);
    case 'long':
      return integer(metric.value, 64, dataType);
    case 'text': {
      const value = numberOfText(metric.value, map);
      return value === undefined
        ? notNumber(JSON.stringify(metric.value.slice(0, SHOWN_MAX)))
        : { value, isExact: true };
    }
    case 'none':
      return notNumber('null');
    case 'bytes':
    case 'data-set':
    case 'template':
    case 'extension':
      return notNumber(kindText(metric.kind));
  }
}

/** True if the metric has a single value: not a data set, template, bytes, file or array. */
export function isSingleValue({ kind }: MetricValue, dataType: number | undefined): boolean {
  // A null value has only its data type.
  if (kind === 'none') return dataType === undefined || dataType <= dataTypes.UUID;
  return kind !== 'data-set' && kind !== 'template' && kind !== 'bytes' && kind !== 'extension';
}

export function kindText(kind: MetricValue['kind']): string {
  switch (kind) {
    case 'data-set':
      return 'a data set';
    case 'template':
      return 'a template, whose members have the values';
    case 'bytes':
      return 'bytes';
    case 'extension':
      return 'an extension';
    case 'none':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'boolean':
    case 'text':
      return kind;
  }
}

/**
 * Reads the bits of an integer with the width and sign of its type. Edge nodes put every integer type into either field,
 * with the sign extended to its width or not.
 */
function integer(bits: bigint, fieldBits: 32 | 64, dataType: number | undefined): MetricNumber {
  if (dataType === dataTypes.Boolean) return { value: bits === 0n ? 0 : 1, isExact: true };
  const width = dataType === undefined ? undefined : integerBits[dataType];
  if (width === undefined) {
    const type = dataType === undefined || dataType === 0 ? 'without a datatype' : `of type ${typeName(dataType)}`;
    return notNumber(`the integer ${bits} ${type}`);
  }
  const value = width < 0 ? signed(bits, -width, fieldBits) : bits < 1n << BigInt(width) ? bits : undefined;
  if (value === undefined) return notNumber(`${bits}, which is not an ${typeName(dataType ?? 0)}`);
  const number = Number(value);
  return { value: number, isExact: Number.isSafeInteger(number) };
}

function signed(bits: bigint, width: number, fieldBits: 32 | 64): bigint | undefined {
  // A 64-bit type in 32 bits: above 2^31 it is either a large number or a negative one whose sign was cut off.
  if (width > fieldBits) return bits < 1n << 31n ? bits : undefined;
  const value = BigInt.asIntN(width, bits);
  const isNarrow = bits < 1n << BigInt(width);
  const isExtended = [32, 64].some((extent) => BigInt.asUintN(extent, value) === bits);
  return isNarrow || isExtended ? value : undefined;
}

function typeName(dataType: number): string {
  return typeNames.get(dataType) ?? `${dataType}`;
}

function notNumber(found: string): MetricNumber {
  return { value: undefined, found };
}
