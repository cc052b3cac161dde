export const valueTypes = [
  'bool',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'float32',
  'float64',
  'int8',
  'uint8',
  'float16',
  'bcd16',
  'bcd32',
] as const;
export type ValueType = (typeof valueTypes)[number];

/**
 * Byte orders, named for 32 bits; A is the most significant byte.
 * The Modbus specification defines 16-bit registers only, so vendors differ.
 *
 * | order | 16 bits | 32 bits | 64 bits |
 * | --- | --- | --- | --- |
 * | ABCD | AB | ABCD | ABCDEFGH |
 * | CDAB | AB | CDAB | GHEFCDAB |
 * | BADC | BA | BADC | BADCFEHG |
 * | DCBA | BA | DCBA | HGFEDCBA |
 */
export const byteOrders = ['ABCD', 'CDAB', 'BADC', 'DCBA'] as const;
export type ByteOrder = (typeof byteOrders)[number];

/** 64-bit orders of devices that order the two halves differently from the words in each half. */
export const mixedByteOrders = ['EFGHABCD', 'CDABGHEF', 'FEHGBADC', 'DCBAHGFE'] as const;

/** 64-bit orders written in full; the first four equal the short names. */
export const longByteOrders = ['ABCDEFGH', 'GHEFCDAB', 'BADCFEHG', 'HGFEDCBA', ...mixedByteOrders] as const;
export type LongByteOrder = (typeof longByteOrders)[number];

/**
 * Decodes one raw value of a response.
 *
 * @param bytes The response.
 * @param offset Offset of the value's first register, in bytes.
 * @returns Raw value before scaling. NaN and infinity pass through; the caller checks them. A 64-bit integer
 *   beyond 2^53 is rounded to the nearest double and is then not `Number.isSafeInteger`.
 */
export type Decoder = (bytes: Buffer, offset: number) => number;

const registersOfType: Readonly<Record<ValueType, number>> = {
  bool: 1,
  int16: 1,
  uint16: 1,
  int32: 2,
  uint32: 2,
  int64: 4,
  uint64: 4,
  float32: 2,
  float64: 4,
  int8: 1,
  uint8: 1,
  float16: 1,
  bcd16: 1,
  bcd32: 2,
};

/** Returns the number of registers of a value. */
export function registersOf(type: ValueType): number {
  return registersOfType[type];
}

/** Returns true for types with values that a double cannot represent exactly. */
export function mayLosePrecision(type: ValueType): boolean {
  return type === 'int64' || type === 'uint64';
}

/**
 * Returns the decoder for a value in registers. An 8-bit value is the low byte; BADC and DCBA send it first. A BCD
 * number with a digit above 9 is NaN.
 *
 * @param byteOrder The long orders are for 64-bit types only.
 * @param bit For `bool` only: bit of the register, 0 is the least significant. If undefined, any register that is
 *   not 0 is true.
 */
export function registerDecoder(type: ValueType, byteOrder: ByteOrder | LongByteOrder, bit?: number): Decoder {
  if (type === 'bool') return bit === undefined ? isNotZero : registerBit(byteOrder, bit);
  const decode = bigEndianDecoders[type];
  const places = bytePlaces(byteOrder, registersOf(type) * 2);
  if (places === undefined) return decode;
  return (bytes, offset) => {
    for (let index = 0; index < places.length; index += 1) scratch[index] = bytes[offset + (places[index] ?? 0)] ?? 0;
    return decode(scratch, 0);
  };
}

/** Returns the decoder for one bit of a coil or discrete input response; the first requested bit is bit 0. */
export function bitDecoder(bitIndex: number): Decoder {
  const byteIndex = bitIndex >>> 3;
  const shift = bitIndex & 7;
  return (bytes, offset) => ((bytes[offset + byteIndex] ?? 0) >>> shift) & 1;
}

/** Bytes of the value being decoded, most significant first. Decoding is synchronous, so one shared buffer is enough. */
const scratch = Buffer.alloc(8);

const bigEndianDecoders: Readonly<Record<Exclude<ValueType, 'bool'>, Decoder>> = {
  int16: (bytes, offset) => bytes.readInt16BE(offset),
  uint16: (bytes, offset) => bytes.readUInt16BE(offset),
  int32: (bytes, offset) => bytes.readInt32BE(offset),
  uint32: (bytes, offset) => bytes.readUInt32BE(offset),
  // Both halves are exact, so the sum is rounded once, to the double nearest to the integer.
  int64: (bytes, offset) => bytes.readInt32BE(offset) * 2 ** 32 + bytes.readUInt32BE(offset + 4),
  uint64: (bytes, offset) => bytes.readUInt32BE(offset) * 2 ** 32 + bytes.readUInt32BE(offset + 4),
  float32: (bytes, offset) => bytes.readFloatBE(offset),
  float64: (bytes, offset) => bytes.readDoubleBE(offset),
  int8: (bytes, offset) => bytes.readInt8(offset + 1),
  uint8: (bytes, offset) => bytes.readUInt8(offset + 1),
  float16: (bytes, offset) => float16(bytes.readUInt16BE(offset)),
  bcd16: (bytes, offset) => bcd(bytes.readUInt16BE(offset), 4),
  bcd32: (bytes, offset) => bcd(bytes.readUInt32BE(offset), 8),
};

/** IEEE 754 binary16: sign, 5 bits of exponent, 10 of fraction. */
function float16(bits: number): number {
  const sign = bits >>> 15 === 0 ? 1 : -1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Decodes BCD: four bits a decimal digit. */
function bcd(bits: number, digits: number): number {
  let value = 0;
  for (let index = digits - 1; index >= 0; index -= 1) {
    const digit = (bits >>> (index * 4)) & 0xf;
    if (digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** Returns the position of each byte in the registers, the most significant first; undefined if no byte moves. */
function bytePlaces(byteOrder: ByteOrder | LongByteOrder, size: number): readonly number[] | undefined {
  if (byteOrder.length === 8) return Array.from('ABCDEFGH', (byte) => byteOrder.indexOf(byte));
  const swapsBytes = byteOrder === 'BADC' || byteOrder === 'DCBA';
  const swapsWords = (byteOrder === 'CDAB' || byteOrder === 'DCBA') && size > 2;
  if (!swapsBytes && !swapsWords) return undefined;
  return Array.from({ length: size }, (_, index) => {
    const inWordOrder = swapsWords ? size - 2 - (index & ~1) + (index & 1) : index;
    return swapsBytes ? inWordOrder ^ 1 : inWordOrder;
  });
}

function isNotZero(bytes: Buffer, offset: number): number {
  return bytes.readUInt16BE(offset) === 0 ? 0 : 1;
}

function registerBit(byteOrder: ByteOrder | LongByteOrder, bit: number): Decoder {
  const swapsBytes = byteOrder === 'BADC' || byteOrder === 'DCBA';
  return swapsBytes
    ? (bytes, offset) => (bytes.readUInt16LE(offset) >>> bit) & 1
    : (bytes, offset) => (bytes.readUInt16BE(offset) >>> bit) & 1;
}
