import type { ByteOrder, LongByteOrder, ValueType } from '../frame/register-decode.ts';
import {
  byteOrders,
  mayLosePrecision,
  mixedByteOrders,
  registerDecoder,
  registersOf,
  valueTypes,
} from '../frame/register-decode.ts';

type NumberType = Exclude<ValueType, 'bool'>;
export type ProbedOrder = ByteOrder | LongByteOrder;

/** Every order that is not another name for one of them. */
export const probedOrders: readonly ProbedOrder[] = [...byteOrders, ...mixedByteOrders];

/** Scale factors that devices commonly put into integers, the likeliest first. */
const SCALES = [1, 0.1, 0.01, 0.001, 10, 100] as const;
/** Relative differences that differ by less are the same: scaling by a decimal fraction rounds. */
const RESOLUTION = 1e-9;

/** One way to understand the registers from an address on. A 64-bit integer beyond 2^53 is rounded. */
type Interpretation = { readonly type: NumberType; readonly byteOrder: ProbedOrder; readonly value: number };

/** What a register may mean, alone and with those after it as far as the block goes. */
export type Reading = {
  /** As on the wire, from 0. */
  readonly address: number;
  /** Four digits, as on the wire. */
  readonly hex: string;
  readonly uint16: number;
  readonly int16: number;
  readonly interpretations: readonly Interpretation[];
};

/** An interpretation held against the value that a display or a manual tells. */
export type Fit = {
  readonly address: number;
  readonly type: NumberType;
  readonly byteOrder: ProbedOrder;
  readonly scale: number;
  /** Raw value times scale. */
  readonly value: number;
  /** |value − expected| / |expected|; the absolute difference where 0 is expected. */
  readonly difference: number;
};

/**
 * Every way to understand a block of registers.
 *
 * @param words Register values, 0–65535, one after the other.
 * @param firstAddress Address of the first.
 * @returns One reading a register; values that would need registers beyond the block are left out.
 */
export function readings(words: readonly number[], firstAddress: number): readonly Reading[] {
  const bytes = Buffer.alloc(words.length * 2);
  words.forEach((word, index) => bytes.writeUInt16BE(word, index * 2));
  return words.map((word, index) => ({
    address: firstAddress + index,
    hex: word.toString(16).padStart(4, '0'),
    uint16: word,
    int16: bytes.readInt16BE(index * 2),
    interpretations: ways
      .filter(({ type }) => index + registersOf(type) <= words.length)
      .map(({ type, byteOrder, decode }) => ({ type, byteOrder, value: decode(bytes, index * 2) })),
  }));
}

/**
 * Which interpretations, scaled where need be, come closest to an expected value: best first. Among equals the
 * likelier scale comes first, then the lower address. Values that are no number, or are not held exactly, never fit.
 */
export function rankFits(all: readonly Reading[], expected: number): readonly Fit[] {
  const fits = all.flatMap(({ address, interpretations }) =>
    interpretations
      .filter(({ type, value }) => (mayLosePrecision(type) ? Number.isSafeInteger(value) : Number.isFinite(value)))
      .flatMap(({ type, byteOrder, value: raw }) =>
        SCALES.map((scale): Fit => {
          const value = raw * scale;
          return { address, type, byteOrder, scale, value, difference: differenceOf(value, expected) };
        }),
      ),
  );
  const rank = (fit: Fit) => Math.round(fit.difference / RESOLUTION);
  // A float64 near its limit may overflow by its scale.
  const finite = fits.filter(({ value }) => Number.isFinite(value));
  return finite.toSorted((a, b) => compare(rank(a), rank(b)) || likeliness(a) - likeliness(b) || a.address - b.address);
}

const ways = valueTypes
  .filter((type) => type !== 'bool')
  .flatMap((type) =>
    probedOrders
      .filter((byteOrder) => makesADifference(byteOrder, registersOf(type)))
      .map((byteOrder) => ({ type, byteOrder, decode: registerDecoder(type, byteOrder) })),
  );

/** The order of words says nothing about a single one, that of halves nothing about less than four. */
function makesADifference(byteOrder: ProbedOrder, registers: number): boolean {
  if (byteOrder.length === 8) return registers === 4;
  return registers > 1 || byteOrder === 'ABCD' || byteOrder === 'BADC';
}

function differenceOf(value: number, expected: number): number {
  return Math.abs(value - expected) / (expected === 0 ? 1 : Math.abs(expected));
}

/** Not by subtraction: both may be infinite. */
function compare(a: number, b: number): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function likeliness({ scale }: Fit): number {
  return SCALES.findIndex((known) => known === scale);
}
