import { mayLosePrecision, type ValueType } from './register-decode.ts';

/** Named sets of codes that devices send instead of a missing value. */
export const codeSets = ['sunspec', 'sma', 'abb'] as const;
type CodeSet = (typeof codeSets)[number];

/** Value of the key `invalid`: a set, raw values, or `none` if every raw value is real. */
export type InvalidSetting = 'none' | CodeSet | number | readonly (CodeSet | number)[];

/** Raw values of a type that stand for "not available", as the decoder returns them. */
export type NotAvailableCodes = {
  /** Codes of the key `invalid`: the value is bad. */
  readonly known: readonly number[];
  /** Well-known codes, if there is no such key: the value is uncertain. */
  readonly suspected: readonly number[];
};

/** What to do about a tag without the key. */
export const INVALID_ADVICE =
  "Set invalid: sunspec, sma, abb or the device's codes, or invalid: none if every raw value is real";

type Codes = Readonly<Partial<Record<ValueType, readonly number[]>>>;

/** The smallest signed number: 0x8000, 0x80000000. */
const lowest: Codes = { int16: [-0x8000], int32: [-(2 ** 31)], int64: [-(2 ** 63)] };
/** The largest signed number: 0x7FFF, 0x7FFFFFFF. The decoder rounds 64 bits to a double. */
const highest: Codes = { int16: [0x7fff], int32: [2 ** 31 - 1], int64: [2 ** 63] };
/** Unsigned numbers with all bits set: 0xFFFF, 0xFFFFFFFF. */
const allOnes: Codes = { uint16: [0xffff], uint32: [2 ** 32 - 1], uint64: [2 ** 64] };
const notANumber: Codes = { float16: [NaN], float32: [NaN], float64: [NaN] };

const codesOfSet: Readonly<Record<CodeSet, readonly Codes[]>> = {
  // SunSpec Device Information Model Specification, "Unimplemented" values.
  sunspec: [lowest, allOnes, notANumber],
  // SMA Modbus interface: 0x00FFFFFD is "no information" in lists of states, which are uint32.
  sma: [lowest, allOnes, notANumber, { uint32: [0xff_ff_fd] }],
  // ABB energy meters (EQ series): signed values have the largest number.
  abb: [highest, allOnes, notANumber],
};
const wellKnown: readonly Codes[] = [lowest, highest, allOnes];

const integerBits: Readonly<Partial<Record<ValueType, number>>> = {
  int8: 8,
  uint8: 8,
  int16: 16,
  uint16: 16,
  int32: 32,
  uint32: 32,
  int64: 64,
  uint64: 64,
};

/**
 * Returns the codes of a type.
 *
 * @param invalid Undefined without the key. Values that the type cannot have are left out.
 */
export function notAvailableCodes(type: ValueType, invalid: InvalidSetting | undefined): NotAvailableCodes {
  if (type === 'bool') return { known: [], suspected: [] };
  if (invalid === undefined) return { known: [], suspected: wellKnown.flatMap((codes) => codes[type] ?? []) };
  return { known: settingsOf(invalid).flatMap((setting) => codesOf(type, setting)), suspected: [] };
}

/** Returns the first part of the setting that means nothing for the type; undefined if there is none. */
export function meaninglessCode(type: ValueType | 'text', invalid: InvalidSetting): CodeSet | number | undefined {
  return settingsOf(invalid).find((setting) => type === 'text' || codesOf(type, setting).length === 0);
}

/** Returns the raw value as the device sent it: `0x8000`. @param raw One of the well-known codes of the type. */
export function codeText(type: ValueType, raw: number): string {
  const bits = integerBits[type] ?? 64;
  const ones = 2n ** BigInt(bits) - 1n;
  if (mayLosePrecision(type) && raw > 0)
    return `0x${(type === 'int64' ? ones >> 1n : ones).toString(16).toUpperCase()}`;
  return `0x${(BigInt(raw) & ones).toString(16).toUpperCase()}`;
}

function settingsOf(invalid: InvalidSetting): readonly (CodeSet | number)[] {
  if (invalid === 'none') return [];
  return typeof invalid === 'string' || typeof invalid === 'number' ? [invalid] : invalid;
}

function codesOf(type: ValueType, setting: CodeSet | number): readonly number[] {
  if (type === 'bool') return [];
  if (typeof setting === 'string') return codesOfSet[setting].flatMap((codes) => codes[type] ?? []);
  const bits = integerBits[type];
  if (bits === undefined) return [type === 'float32' ? Math.fround(setting) : setting];
  const [half, whole] = [2 ** (bits - 1), 2 ** bits];
  if (!Number.isInteger(setting)) return [];
  // A double cannot tell the largest 64-bit number from the next one.
  const last = bits === 64 ? 0 : 1;
  if (type.startsWith('u')) return setting >= 0 && setting <= whole - last ? [setting] : [];
  const asSigned = setting >= -half && setting <= half - last ? [setting] : [];
  // 0x8000 is -32768 as an int16.
  return setting >= half && setting <= whole - last ? [...asSigned, setting - whole] : asSigned;
}
