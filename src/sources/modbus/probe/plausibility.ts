import { notAvailableCodes } from '../frame/not-available.ts';
import type { ByteOrder, LongByteOrder, ValueType } from '../frame/register-decode.ts';

/** Magnitudes of measured values; a float outside is nearly always a wrong byte order. */
const FLOAT_MIN = 1e-6;
const FLOAT_MAX = 1e9;
/** Counters of 64 bits are below this. */
const LONG_MAX = 1e15;

const shortOrders = ['ABCD'] as const;
const wideOrders = ['ABCD', 'CDAB', 'BADC', 'DCBA'] as const;
const longOrders = ['ABCD', 'CDAB', 'DCBA'] as const;

/** Byte orders in which vendors send a type, the most frequent first; none for types that are hardly used. */
const usualOrders: Readonly<Partial<Record<ValueType, readonly (ByteOrder | LongByteOrder)[]>>> = {
  uint16: shortOrders,
  int16: shortOrders,
  float32: wideOrders,
  uint32: wideOrders,
  int32: wideOrders,
  bcd16: shortOrders,
  bcd32: ['ABCD', 'CDAB'],
  float64: longOrders,
  uint64: longOrders,
  int64: longOrders,
};

/** Returns true for a combination of type and byte order that vendors use. */
export function isUsual(type: ValueType, byteOrder: ByteOrder | LongByteOrder): boolean {
  return usualOrders[type]?.includes(byteOrder) === true;
}

/** Returns true if a raw value is likely a measurement: finite, of a usual magnitude, not a code for "not available". */
export function isPlausible(type: ValueType, raw: number): boolean {
  if (!Number.isFinite(raw) || notAvailableCodes(type, undefined).suspected.includes(raw)) return false;
  const magnitude = Math.abs(raw);
  if (type.startsWith('float')) return raw === 0 || (magnitude >= FLOAT_MIN && magnitude <= FLOAT_MAX);
  return magnitude <= LONG_MAX;
}

/** Returns a number for sorting: 0 for the most likely combination. */
export function unlikeliness(type: ValueType, byteOrder: ByteOrder | LongByteOrder): number {
  const types = Object.keys(usualOrders);
  const typeRank = types.indexOf(type);
  const orderRank = usualOrders[type]?.indexOf(byteOrder) ?? -1;
  return (typeRank === -1 ? types.length : typeRank) + 2 * (orderRank === -1 ? wideOrders.length : orderRank);
}
