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
import { isPlausible, isUsual, unlikeliness } from './plausibility.ts';

type NumberType = Exclude<ValueType, 'bool'>;
export type ProbedOrder = ByteOrder | LongByteOrder;

/** All byte orders without synonyms. */
export const probedOrders: readonly ProbedOrder[] = [...byteOrders, ...mixedByteOrders];

/** Common scale factors of integers, the most likely first. */
const SCALES = [1, 0.1, 0.01, 0.001, 10, 100] as const;
/** Relative differences closer than this count as equal: scaling by a decimal fraction rounds. */
const RESOLUTION = 1e-9;

/** Limits of relative differences within which the likelier interpretation is first. */
const CLOSENESS = [RESOLUTION, 0.001, 0.01, 0.05] as const;

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
  /** Mean of |value − expected| / |expected| over the reads; of the absolute difference if 0 is expected. */
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
 * Ranks the interpretations, scaled if necessary, by their distance to an expected value over all reads. Among
 * interpretations of about the same distance, the more likely combination of type, byte order and scale is first. NaN,
 * values that are not exact and codes for "not available" never fit.
 *
 * @param reads Readings of one or more reads of the same block.
 * @param all True to include combinations that no vendor uses.
 */
export function rankFits(reads: readonly (readonly Reading[])[], expected: number, all = false): readonly Fit[] {
  const last = reads.at(-1) ?? [];
  const fits = last.flatMap(({ address, interpretations }, index) =>
    interpretations
      .filter(({ type, byteOrder }) => all || isUsual(type, byteOrder))
      .flatMap(({ type, byteOrder }) => {
        const way = interpretations.findIndex((one) => one.type === type && one.byteOrder === byteOrder);
        const raws = reads.map((read) => read[index]?.interpretations[way]?.value ?? Number.NaN);
        if (!raws.every((raw) => isExact(type, raw) && (all || isPlausible(type, raw)))) return [];
        const scales = type.startsWith('float') && !all ? ([1] as const) : SCALES;
        return scales.map((scale): Fit => {
          const differences = raws.map((raw) => differenceOf(raw * scale, expected));
          const difference = differences.reduce((sum, one) => sum + one, 0) / differences.length;
          return { address, type, byteOrder, scale, value: (raws.at(-1) ?? Number.NaN) * scale, difference };
        });
      }),
  );
  // A float64 near its limit may overflow when scaled.
  const finite = fits.filter(({ value }) => Number.isFinite(value));
  return finite.toSorted(
    (a, b) =>
      closeness(a) - closeness(b) ||
      unlikely(a) - unlikely(b) ||
      compare(Math.round(a.difference / RESOLUTION), Math.round(b.difference / RESOLUTION)) ||
      a.address - b.address,
  );
}

/** Index of the first limit that the difference does not exceed: a display rounds, and a process moves. */
function closeness({ difference }: Fit): number {
  const found = CLOSENESS.findIndex((limit) => difference <= limit);
  return found === -1 ? CLOSENESS.length + difference : found;
}

function unlikely({ type, byteOrder, scale }: Fit): number {
  return unlikeliness(type, byteOrder) + 3 * SCALES.findIndex((known) => known === scale);
}

function isExact(type: NumberType, raw: number): boolean {
  return mayLosePrecision(type) ? Number.isSafeInteger(raw) : Number.isFinite(raw);
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
