import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bitDecoder,
  type ByteOrder,
  byteOrders,
  longByteOrders,
  registerDecoder,
  registersOf,
  type ValueType,
} from '../../../src/sources/modbus/frame/register-decode.ts';

/** Bytes of a value, most significant first. */
const encoders: Readonly<Record<Exclude<ValueType, 'bool'>, (value: number | bigint) => Buffer>> = {
  int16: (value) => bytesOf(2, (view) => view.setInt16(0, Number(value))),
  uint16: (value) => bytesOf(2, (view) => view.setUint16(0, Number(value))),
  int32: (value) => bytesOf(4, (view) => view.setInt32(0, Number(value))),
  uint32: (value) => bytesOf(4, (view) => view.setUint32(0, Number(value))),
  int64: (value) => bytesOf(8, (view) => view.setBigInt64(0, BigInt(value))),
  uint64: (value) => bytesOf(8, (view) => view.setBigUint64(0, BigInt(value))),
  float32: (value) => bytesOf(4, (view) => view.setFloat32(0, Number(value))),
  float64: (value) => bytesOf(8, (view) => view.setFloat64(0, Number(value))),
  int8: (value) => bytesOf(2, (view) => view.setInt8(1, Number(value))),
  uint8: (value) => bytesOf(2, (view) => view.setUint8(1, Number(value))),
  float16: (value) => bytesOf(2, (view) => view.setFloat16(0, Number(value))),
  // Decimal digits, read as hexadecimal ones.
  bcd16: (value) => bytesOf(2, (view) => view.setUint16(0, Number(`0x${value}`))),
  bcd32: (value) => bytesOf(4, (view) => view.setUint32(0, Number(`0x${value}`))),
};

/** Byte layouts, written from the definition of the names and not like the decoder. */
const layouts: Readonly<Record<ByteOrder, Readonly<Record<number, readonly number[]>>>> = {
  ABCD: { 2: [0, 1], 4: [0, 1, 2, 3], 8: [0, 1, 2, 3, 4, 5, 6, 7] },
  CDAB: { 2: [0, 1], 4: [2, 3, 0, 1], 8: [6, 7, 4, 5, 2, 3, 0, 1] },
  BADC: { 2: [1, 0], 4: [1, 0, 3, 2], 8: [1, 0, 3, 2, 5, 4, 7, 6] },
  DCBA: { 2: [1, 0], 4: [3, 2, 1, 0], 8: [7, 6, 5, 4, 3, 2, 1, 0] },
};

const values: Readonly<Record<Exclude<ValueType, 'bool'>, fc.Arbitrary<number | bigint>>> = {
  int16: fc.integer({ min: -32_768, max: 32_767 }),
  uint16: fc.integer({ min: 0, max: 65_535 }),
  int32: fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }),
  uint32: fc.integer({ min: 0, max: 4_294_967_295 }),
  int64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  uint64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  float32: fc.float(),
  float64: fc.double(),
  int8: fc.integer({ min: -128, max: 127 }),
  uint8: fc.integer({ min: 0, max: 255 }),
  float16: fc.nat(0xffff).map((bits) => {
    const view = new DataView(new ArrayBuffer(2));
    view.setUint16(0, bits);
    return view.getFloat16(0);
  }),
  bcd16: fc.nat(9999),
  bcd32: fc.nat(99_999_999),
};

const types = Object.keys(encoders).filter((type): type is keyof typeof encoders => type in encoders);
const cases = types.flatMap((type) => byteOrders.map((byteOrder) => ({ type, byteOrder })));

describe('a value in registers', () => {
  test.each(cases)(
    '$type in $byteOrder survives the round trip at any position in the response',
    ({ type, byteOrder }) => {
      const decode = registerDecoder(type, byteOrder);
      fc.assert(
        fc.property(values[type], fc.nat(20), (value, offset) => {
          const bytes = Buffer.concat([
            Buffer.alloc(offset, 0xa5),
            layOut(encoders[type](value), byteOrder),
            Buffer.alloc(3, 0x5a),
          ]);
          expect(decode(bytes, offset)).toBe(Number(value));
        }),
      );
    },
  );

  test.each(types)('a %s takes as many registers as its bytes need', (type) => {
    expect(registersOf(type)).toBe(encoders[type](0).length / 2);
  });

  test('a 64-bit integer beyond the range of a double is recognised', () => {
    const decode = registerDecoder('uint64', 'ABCD');
    expect(Number.isSafeInteger(decode(encoders.uint64(2n ** 53n - 1n), 0))).toBe(true);
    expect(Number.isSafeInteger(decode(encoders.uint64(2n ** 53n), 0))).toBe(false);
    expect(Number.isSafeInteger(decode(encoders.uint64(2n ** 53n + 1n), 0))).toBe(false);
  });

  test.each([NaN, Infinity, -Infinity])('a float of %s comes through, for the scan to judge', (value) => {
    for (const byteOrder of byteOrders) {
      expect(registerDecoder('float32', byteOrder)(layOut(encoders.float32(value), byteOrder), 0)).toBe(value);
      expect(registerDecoder('float64', byteOrder)(layOut(encoders.float64(value), byteOrder), 0)).toBe(value);
    }
  });
});

describe('a bool', () => {
  test('in a register without a bit is true for anything but 0', () => {
    const decode = registerDecoder('bool', 'ABCD');
    expect(decode(Buffer.from([0, 0]), 0)).toBe(0);
    expect(decode(Buffer.from([0, 1]), 0)).toBe(1);
    expect(decode(Buffer.from([0x80, 0]), 0)).toBe(1);
  });

  test('in one bit of a register counts from the least significant, in the byte order of the device', () => {
    fc.assert(
      fc.property(fc.nat(65_535), fc.nat(15), fc.constantFrom(...byteOrders), (word, bit, byteOrder) => {
        const decode = registerDecoder('bool', byteOrder, bit);
        expect(decode(layOut(encoders.uint16(word), byteOrder), 0)).toBe((word >>> bit) & 1);
      }),
    );
  });

  test('of a coil is the bit at its distance from the first requested coil', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 64 }), (coils) => {
        const bytes = Buffer.alloc(Math.ceil(coils.length / 8));
        coils.forEach((on, index) => (bytes[index >>> 3] = (bytes[index >>> 3] ?? 0) | (on ? 1 << (index & 7) : 0)));
        expect(coils.map((_, index) => bitDecoder(index)(bytes, 0) === 1)).toEqual(coils);
      }),
    );
  });
});

function bytesOf(size: number, write: (view: DataView) => void): Buffer {
  const view = new DataView(new ArrayBuffer(size));
  write(view);
  return Buffer.from(view.buffer);
}

function layOut(bytes: Buffer, byteOrder: ByteOrder): Buffer {
  return Buffer.from((layouts[byteOrder][bytes.length] ?? []).map((from) => bytes[from] ?? 0));
}

describe('a value of 64 bits', () => {
  test.each(longByteOrders)('is read in the order %s', (byteOrder) => {
    const wire = Buffer.from(Array.from(byteOrder, (letter) => letter.charCodeAt(0) - 0x40));
    expect(registerDecoder('uint64', byteOrder)(wire, 0)).toBe(Number(0x0102030405060708n));
  });

  test.each([
    ['ABCD', 'ABCDEFGH'],
    ['CDAB', 'GHEFCDAB'],
    ['BADC', 'BADCFEHG'],
    ['DCBA', 'HGFEDCBA'],
  ] as const)('in %s is the same as in %s', (short, long) => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), (bytes) => {
        const wire = Buffer.from(bytes);
        expect(registerDecoder('float64', short)(wire, 0)).toEqual(registerDecoder('float64', long)(wire, 0));
      }),
    );
  });
});

test('a BCD number with a digit above 9 is NaN', () => {
  expect(registerDecoder('bcd16', 'ABCD')(Buffer.from('12a4', 'hex'), 0)).toBeNaN();
  expect(registerDecoder('bcd32', 'CDAB')(Buffer.from('56781234', 'hex'), 0)).toBe(12_345_678);
});
