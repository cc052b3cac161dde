import {
  type ByteOrder,
  byteOrders,
  type LongByteOrder,
  mayLosePrecision,
  mixedByteOrders,
  registerDecoder,
  registersOf,
  type ValueType,
  valueTypes,
} from '../frame/register-decode.ts';

type NumberType = Exclude<ValueType, 'bool'>;
export type ProbedOrder = ByteOrder | LongByteOrder;

/** All byte orders without synonyms. */
export const probedOrders: readonly ProbedOrder[] = [...byteOrders, ...mixedByteOrders];

/** Common scale factors of integers, the most likely first. */
const SCALES = [1, 0.1, 0.01, 0.001, 10, 100] as const;
/** Relative differences closer than this count as equal: scaling by a decimal fraction rounds. */
const RESOLUTION = 1e-9;

/** One interpretation of the registers from an address on. A 64-bit integer beyond 2^53 is rounded. */
type Interpretation = { readonly type: NumberType; readonly byteOrder: ProbedOrder; readonly value: number };

/** Interpretations of a register, alone and together with the following ones of the block. */
export type Reading = {
  /** Address as on the wire, from 0. */
  readonly address: number;
  /** Four hexadecimal digits, as on the wire. */
  readonly hex: string;
  readonly uint16: number;
  readonly int16: number;
  readonly interpretations: readonly Interpretation[];
};

/** An interpretation compared with the value shown on a display or in a manual. */
export type Fit = {
  readonly address: number;
  readonly type: NumberType;
  readonly byteOrder: ProbedOrder;
  readonly scale: number;
  /** Raw value times scale. */
  readonly value: number;
  /** |value − expected| / |expected|; the absolute difference if 0 is expected. */
  readonly difference: number;
};

/**
 * Returns every interpretation of a block of registers.
 *
 * @param words Register values, 0–65535, one after the other.
 * @param firstAddress Address of the first.
 * @returns One reading for each register; values that need registers beyond the block are omitted.
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
 * Ranks the interpretations, scaled if necessary, by their distance to an expected value, the closest first. Among equals
 * the more likely scale is first, then the lower address. NaN and values that are not exact never fit.
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
  // A float64 near its limit may overflow when scaled.
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

/** Returns true if the byte order matters: word order needs two registers, the order of halves needs four. */
function makesADifference(byteOrder: ProbedOrder, registers: number): boolean {
  if (byteOrder.length === 8) return registers === 4;
  return registers > 1 || byteOrder === 'ABCD' || byteOrder === 'BADC';
}

function differenceOf(value: number, expected: number): number {
  return Math.abs(value - expected) / (expected === 0 ? 1 : Math.abs(expected));
}

/** Compares without subtraction: both may be infinite. */
function compare(a: number, b: number): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function likeliness({ scale }: Fit): number {
  return SCALES.findIndex((known) => known === scale);
}
