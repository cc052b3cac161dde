import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBinary, encodeBinary } from '../../../src/protocols/open-inference/binary-tensor.ts';
import { decodeJson, encodeJson } from '../../../src/protocols/open-inference/json-tensor.ts';
import { parseExactly } from '../../../src/protocols/open-inference/json-text.ts';
import { elements, nest, tensorOf, tensorTypes } from './tensor-values.ts';

describe.each(tensorTypes)('a tensor of %s', (type) => {
  test('survives the binary form bit for bit', () => {
    fc.assert(
      fc.property(tensorOf(type), (tensor) => {
        const bytes = encodeBinary(tensor);
        expect(decodeBinary(type, tensor.data.length, bytes, 'x')).toEqual(tensor.data);
      }),
    );
  });

  test('survives JSON value for value, flat and nested', () => {
    fc.assert(
      fc.property(tensorOf(type), (tensor) => {
        const flat = parseExactly(Buffer.from(encodeJson(tensor)));
        const count = tensor.data.length;
        const decoded = decodeJson(type, tensor.dims, count, flat, 'x');
        expect(elements({ ...tensor, data: decoded })).toEqual(elements(tensor));
        const nested = nest(flat as readonly unknown[], tensor.dims);
        expect(decodeJson(type, tensor.dims, count, nested, 'x')).toEqual(decoded);
      }),
    );
  });

  test('is never read from more or fewer bytes than its shape needs', () => {
    fc.assert(
      fc.property(tensorOf(type), fc.uint8Array({ minLength: 1, maxLength: 9 }), (tensor, extra) => {
        const bytes = encodeBinary(tensor);
        const others = [Buffer.concat([bytes, extra]), ...(bytes.length > 0 ? [bytes.subarray(1)] : [])];
        for (const other of others) expect(() => decodeBinary(type, tensor.data.length, other, 'x')).toThrow(/\bx\b/);
      }),
    );
  });
});

describe('values that a type cannot hold are refused, never bent', () => {
  test.each([
    ['uint8', -1],
    ['uint8', 256],
    ['int8', 128],
    ['int32', 1.5],
    ['uint32', 4_294_967_296],
    ['int64', 0.5],
    ['int64', 2n ** 63n],
    ['uint64', -1],
    ['float16', 65_520],
    ['float32', 3.4028236e38],
    ['float32', null],
    ['float64', Number.POSITIVE_INFINITY],
    ['float32', '1'],
    ['float32', true],
    ['bool', 2],
    ['bool', 'true'],
    ['string', 1],
    ['string', 'cut\0here'],
    ['string', '\ud800'],
    ['int32', [1]],
    ['int32', {}],
  ] as const)('%s does not take %s', (type, value) => {
    expect(() => decodeJson(type, [2], 2, [type === 'string' ? '' : 0, value], "Input 'x'")).toThrow(/Input 'x'/);
  });

  test('numbers that JSON lacks have names', () => {
    expect(decodeJson('float32', [3], 3, ['NaN', 'Infinity', '-Infinity'], 'x')).toEqual(
      Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
    );
  });

  test('half precision rounds to nearest as ONNX Runtime would', () => {
    expect(decodeJson('float16', [2], 2, [1 / 3, 65_519], 'x')).toEqual(Uint16Array.of(0x3555, 0x7bff));
  });

  test('a byte that is not a bool and text that is not UTF-8 are named', () => {
    expect(() => decodeBinary('bool', 2, Uint8Array.of(1, 2), 'x')).toThrow('x has byte 2 at 1; a BOOL is 0 or 1');
    expect(() => decodeBinary('string', 1, Uint8Array.of(1, 0, 0, 0, 0xff), 'x')).toThrow('String 0 of x is not UTF-8');
  });

  test('a string length that lies is found, however large', () => {
    expect(() => decodeBinary('string', 1, Uint8Array.of(255, 255, 255, 255, 65), 'x')).toThrow('4294967295 bytes');
    expect(() => decodeBinary('string', 1e9, Uint8Array.of(0, 0, 0, 0), 'x')).toThrow('too few');
  });

  test.each([
    [
      [2, 2],
      [[1, 2], [3]],
    ],
    [
      [2, 2],
      [[1, 2], 3],
    ],
    [[2, 2], [[1, 2]]],
    [
      [2, 2],
      [1, 2, 3],
    ],
    [
      [2, 1],
      [[[1]], [[2]]],
    ],
    [[2], 5],
    [[2], undefined],
    [[2], { length: 2, 0: 1, 1: 2 }],
  ])('a shape %j is not read from %j', (dims, data) => {
    const count = dims.reduce((product, size) => product * size, 1);
    expect(() => decodeJson('int32', dims, count, data, 'x')).toThrow(/x/);
  });
});
