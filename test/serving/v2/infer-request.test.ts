import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TensorSpec } from '../../../src/contracts/inference.ts';
import { datatypeOf } from '../../../src/protocols/open-inference/datatypes.ts';
import { encodeBinary } from '../../../src/protocols/open-inference/binary-tensor.ts';
import { encodeJson } from '../../../src/protocols/open-inference/json-tensor.ts';
import { parseInferRequest, rawInferRequest } from '../../../src/serving/v2/infer-request.ts';
import { OperatingError } from '../../../src/platform/errors.ts';
import { tensorOf, tensorTypes } from './tensor-values.ts';

const input = { name: 'x', datatype: 'FP32', shape: [2], data: [1, 2] };
const parse = (request: unknown) => parseInferRequest(Buffer.from(JSON.stringify(request)), undefined);

describe('an inference request', () => {
  test('gives back its id and parameters, less those about its own form', () => {
    const request = parse({
      id: '42',
      parameters: { customer: 'a', retries: 3, dry: true, binary_data_output: true },
      inputs: [input],
    });
    expect(request).toMatchObject({
      id: '42',
      parameters: { customer: 'a', retries: 3, dry: true },
      binaryOutput: true,
    });
    expect(request.parameters).not.toHaveProperty('binary_data_output');
  });

  test('carries any tensors in their binary form, one after the other', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...tensorTypes).chain(tensorOf), { minLength: 1, maxLength: 4 }),
        (tensors) => {
          const parts = tensors.map(encodeBinary);
          const header = Buffer.from(
            JSON.stringify({
              inputs: tensors.map(({ type, dims }, index) => ({
                name: `t${index}`,
                datatype: datatypeOf(type),
                shape: dims,
                parameters: { binary_data_size: parts[index]?.length },
              })),
            }),
          );
          const { inputs } = parseInferRequest(Buffer.concat([header, ...parts]), header.length);
          expect(Object.values(inputs)).toEqual(tensors);
        },
      ),
    );
  });

  test('may have no inputs, as a constant has none', () => {
    expect(parse({ inputs: [] }).inputs).toEqual({});
  });

  test('keeps every digit of a 64-bit integer', () => {
    const body =
      '{"inputs":[{"name":"x","datatype":"INT64","shape":[2],"data":[9007199254740993,-9223372036854775808]}]}';
    expect(parseInferRequest(Buffer.from(body), undefined).inputs['x']?.data).toEqual(
      BigInt64Array.of(9_007_199_254_740_993n, -(2n ** 63n)),
    );
  });

  test('shares no memory with the body it came in', () => {
    const header = Buffer.from(
      '{"inputs":[{"name":"x","datatype":"UINT8","shape":[2],"parameters":{"binary_data_size":2}}]}',
    );
    const body = Buffer.concat([header, Buffer.of(1, 2)]);
    const { inputs } = parseInferRequest(body, header.length);
    body.fill(9);
    expect(inputs['x']?.data).toEqual(Uint8Array.of(1, 2));
  });

  test('may name a tensor as JavaScript names its own things', () => {
    const { inputs } = parseInferRequest(
      Buffer.from('{"inputs":[{"name":"__proto__","datatype":"INT8","shape":[1],"data":[1]}]}'),
      undefined,
    );
    expect(Object.keys(inputs)).toEqual(['__proto__']);
  });

  test.each([
    [{}, "'inputs' is missing"],
    [[], 'not a JSON object'],
    [{ inputs: {} }, "'inputs' is missing or not an array"],
    [{ inputs: [input, input] }, "Input 'x' occurs twice"],
    [{ inputs: [{ ...input, datatype: 'FLOAT' }] }, "datatype 'FLOAT'"],
    [{ inputs: [{ ...input, datatype: 'constructor' }] }, "datatype 'constructor'"],
    [{ inputs: [{ ...input, shape: [3] }] }, "Input 'x' has 2 elements, but shape [3] has 3"],
    [{ inputs: [{ ...input, shape: [-1] }] }, 'not a whole number of 0 or more'],
    [{ inputs: [{ ...input, shape: [1.5] }] }, 'not a whole number of 0 or more'],
    [{ inputs: [{ ...input, shape: '2' }] }, "no array 'shape'"],
    [{ inputs: [{ ...input, shape: Array.from({ length: 33 }, () => 1) }] }, '33 dimensions'],
    [{ inputs: [{ ...input, shape: [2 ** 40, 2 ** 40], data: [] }] }, 'more elements than a tensor can have'],
    [{ inputs: [{ ...input, data: [1, null] }] }, 'null at 1'],
    [{ inputs: [{ ...input, name: 7 }] }, 'not a string'],
    [{ inputs: [{ ...input, parameters: { binary_data_size: 8 } }] }, "both 'data' and binary_data_size"],
    [{ inputs: [{ ...input, parameters: { a: {} } }] }, "parameter 'a'"],
    [{ inputs: [{ ...input, parameters: { shared_memory_region: 'r' } }] }, 'shared memory'],
    [{ inputs: [input], id: 7 }, "'id' is not a string"],
    [{ inputs: [input], parameters: { sequence_id: 5 } }, "'sequence_id' is not supported here: "],
    [
      { inputs: [input], outputs: [{ name: 'y', parameters: { classification: 3 } }] },
      'classification is not supported here: ',
    ],
    [{ inputs: [input], outputs: [{ name: 'y' }, { name: 'y' }] }, 'requested twice'],
    [{ inputs: [input], outputs: 'y' }, "'outputs' is missing or not an array"],
  ])('%j is refused', (request, message) => {
    expect(() => parse(request)).toThrow(message);
  });

  test.each([
    ['a header longer than the body', 1_000, 'Inference-Header-Content-Length is 1000'],
    ['a header that ends inside the JSON', 10, 'not JSON'],
  ])('%s is refused', (_, headerLength, message) => {
    expect(() => parseInferRequest(Buffer.from(JSON.stringify({ inputs: [input] })), headerLength)).toThrow(message);
  });

  test.each([
    [9, 'binary_data_size 9, but 8 bytes are left'],
    [4, "Input 'x' has 4 bytes, but 2 elements of 4 bytes are 8"],
    [-8, 'expected a number of bytes'],
    ['8', 'expected a number of bytes'],
  ])('a binary_data_size of %j is refused if 8 bytes follow', (size, message) => {
    const { data: _, ...head } = input;
    const header = Buffer.from(JSON.stringify({ inputs: [{ ...head, parameters: { binary_data_size: size } }] }));
    expect(() => parseInferRequest(Buffer.concat([header, Buffer.alloc(8)]), header.length)).toThrow(message);
  });

  test('bytes that belong to no input are refused', () => {
    const header = Buffer.from(JSON.stringify({ inputs: [input] }));
    expect(() => parseInferRequest(Buffer.concat([header, Buffer.of(1)]), header.length)).toThrow('1 bytes follow');
  });

  test('a million open brackets are refused at the first few', () => {
    expect(() => parseInferRequest(Buffer.from('['.repeat(1_000_000)), undefined)).toThrow('deeper than 36 levels');
    const quoted = `{"inputs":7,"note":"${'['.repeat(100)}\\"${'{'.repeat(100)}"}`;
    expect(() => parseInferRequest(Buffer.from(quoted), undefined)).toThrow("'inputs' is missing or not an array");
  });
});

describe('a raw binary request', () => {
  const spec = (type: TensorSpec['type'], dims: readonly number[]): TensorSpec => ({ name: 'x', type, dims });

  test('takes its shape from its length', () => {
    const body = Buffer.alloc(24);
    expect(rawInferRequest(body, [spec('float32', [-1, 3])]).inputs['x']?.dims).toEqual([2, 3]);
    expect(rawInferRequest(body, [spec('float64', [1, 3])]).inputs['x']?.dims).toEqual([1, 3]);
    expect(rawInferRequest(body, [spec('int16', [-1, 3, -1])]).inputs['x']?.dims).toEqual([1, 3, 4]);
    expect(rawInferRequest(Buffer.from('Ünit'), [spec('string', [-1])]).inputs['x']).toEqual({
      type: 'string',
      dims: [1],
      data: ['Ünit'],
    });
  });

  test.each([
    [[spec('float32', [-1, 5])], 'not a multiple of 20'],
    [[spec('float32', [4])], '24 bytes, but 4 elements'],
    [[spec('float32', [3, -1, -1])], 'does not follow'],
    [[spec('string', [2])], 'one string'],
    [[], 'this one has 0'],
    [[spec('float32', [-1]), spec('float32', [-1])], 'this one has 2'],
  ])('%j cannot be read from 24 bytes', (specs, message) => {
    expect(() => rawInferRequest(Buffer.alloc(24), specs)).toThrow(message);
  });
});

/*
 * Reading any input either returns tensors whose data fit their shape, or fails with an error of the catalogue.
 */
describe('hostile requests', () => {
  const scalar = fc.oneof(
    fc.constantFrom(
      null,
      true,
      -1,
      0,
      1,
      1.5,
      2 ** 53,
      -0,
      1e308,
      '',
      'x',
      'NaN',
      '__proto__',
      'BYTES',
      '\ud800',
      '\0',
    ),
    fc.double(),
    fc.string(),
  );
  const anything = fc.oneof(
    { depthSize: 'small' },
    scalar,
    fc.array(scalar, { maxLength: 4 }),
    fc.array(fc.array(scalar, { maxLength: 3 }), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('name', 'shape', 'data', 'binary_data_size', '__proto__', 'length'), scalar),
  );
  /** A sound request, its tensors in JSON or in their binary form. */
  const sound = fc
    .array(fc.tuple(fc.constantFrom(...tensorTypes).chain(tensorOf), fc.boolean()), { minLength: 1, maxLength: 3 })
    .map((tensors) => {
      const binary: Uint8Array[] = [];
      const inputs = tensors.map(([tensor, isBinary], index) => {
        const head = { name: `t${index}`, datatype: datatypeOf(tensor.type), shape: [...tensor.dims] };
        if (!isBinary) return { ...head, data: JSON.parse(encodeJson(tensor)) as unknown };
        const bytes = encodeBinary(tensor);
        binary.push(bytes);
        return { ...head, parameters: { binary_data_size: bytes.length } };
      });
      const outputs = [{ name: 'y', parameters: { binary_data: true } }];
      return { request: { id: 'a', parameters: { b: 1 }, inputs, outputs }, binary };
    });
  /** The value to replace (each number selects a key of one level), and its replacement. */
  const change = fc.tuple(fc.array(fc.nat(), { minLength: 1, maxLength: 5 }), anything);

  test('are either read soundly or refused in words', () => {
    let read = 0;
    let refused = 0;
    fc.assert(
      fc.property(
        sound,
        fc.array(change, { maxLength: 3 }),
        fc.constantFrom(0, 0, 0, -1, 1, 2 ** 40),
        (made, changes, lie) => {
          for (const [path, value] of changes) replaceAt(made.request, path, value);
          const header = Buffer.from(JSON.stringify(made.request));
          if (readsSoundly(Buffer.concat([header, ...made.binary]), header.length + lie)) read += 1;
          else refused += 1;
        },
      ),
      { numRuns: 20_000 },
    );
    // The generator must reach both ends, or it proves nothing.
    expect(Math.min(read, refused)).toBeGreaterThan(2_000);
  });

  test('of random bytes are refused in words', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        fc.option(fc.nat({ max: 120 }), { nil: undefined }),
        (body, length) => {
          expect(readsSoundly(body, length)).toBe(false);
        },
      ),
      { numRuns: 5_000 },
    );
  });

  function replaceAt(owner: object, [choice = 0, ...deeper]: readonly number[], value: unknown): void {
    const keys = Object.keys(owner);
    const key = keys[choice % keys.length];
    if (key === undefined) return;
    const inner: unknown = Reflect.get(owner, key);
    if (deeper.length > 0 && typeof inner === 'object' && inner !== null) replaceAt(inner, deeper, value);
    else Reflect.set(owner, key, value);
  }

  function readsSoundly(body: Uint8Array, headerLength: number | undefined): boolean {
    try {
      const { inputs } = parseInferRequest(body, headerLength);
      for (const { dims, data } of Object.values(inputs))
        expect(data.length).toBe(dims.reduce((product, size) => product * size, 1));
      return true;
    } catch (error) {
      if (error instanceof OperatingError && /^infer-request-(invalid|unsupported)$/.test(error.code)) return false;
      throw error;
    }
  }
});
