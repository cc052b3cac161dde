import { describe, expect, test } from 'vitest';
import { parseInferRequest } from '../../../src/serving/v2/infer-request.ts';

/*
 * Python's json module and Triton's client write NaN and infinity as bare words, which JSON lacks. Triton reads them, also
 * in its own short form.
 */
const request = (datatype: string, elements: string, more = ''): Uint8Array =>
  Buffer.from(
    `{"id":"a NaN","inputs":[{"name":"x","datatype":"${datatype}","shape":[2],"data":[${elements}]}${more}]}`,
  );

describe('a bare', () => {
  test.each([
    ['NaN', Number.NaN],
    ['-NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['-Infinity', Number.NEGATIVE_INFINITY],
    ['Inf', Number.POSITIVE_INFINITY],
    ['-Inf', Number.NEGATIVE_INFINITY],
  ])('%s is an element of a float tensor', (word, value) => {
    for (const datatype of ['FP32', 'FP64', 'FP16']) {
      const { inputs, id } = parseInferRequest(request(datatype, `${word}, 1`), undefined);
      const { data = [] } = inputs['x'] ?? {};
      const numbers = data instanceof Uint16Array ? new Float16Array(data.buffer) : data;
      expect(Array.from<unknown>(numbers)).toEqual([value, 1]);
      expect(id).toBe('a NaN');
    }
  });

  test('NaN next to integers beyond 2^53 leaves them exact', () => {
    const more = ',{"name":"y","datatype":"INT64","shape":[1],"data":[9007199254740993]}';
    const { inputs } = parseInferRequest(request('FP32', 'NaN, 1', more), undefined);
    expect(inputs['y']?.data).toEqual(BigInt64Array.of(9_007_199_254_740_993n));
  });

  test.each([
    ['INT32', /\(INT32\) has NaN at 0, expected an integer/],
    ['INT64', /\(INT64\) has NaN at 0, expected an integer/],
    ['BOOL', /\(BOOL\) has NaN at 0, expected true or false/],
    ['BYTES', /\(BYTES\) has NaN at 0, expected a string/],
  ])('NaN is not an element of %s', (datatype, message) => {
    expect(() => parseInferRequest(request(datatype, 'NaN, 1'), undefined)).toThrow(message);
  });

  test.each(['nan', 'NaNs', 'xNaN', 'NaN NaN', '--Infinity'])('%s is not JSON, and neither a number', (word) => {
    expect(() => parseInferRequest(request('FP32', `${word}, 1`), undefined)).toThrow(/^The request is not JSON/);
  });
});

test.each([
  ['"id":NaN', "'id' is not a string"],
  ['"parameters":{"p":-Inf}', "The request has parameter 'p' that is -Infinity, expected a finite number"],
  ['"inputs":[{"name":NaN}]', "inputs[0] 'name' is missing or not a string"],
])('%s is refused', (text, message) => {
  expect(() => parseInferRequest(Buffer.from(`{${text}}`), undefined)).toThrow(message);
});

test('the word in a text with quotes stays text', () => {
  const { inputs } = parseInferRequest(request('BYTES', String.raw`"NaN", "a \" Infinity, NaN"`), undefined);
  expect(inputs['x']?.data).toEqual(['NaN', 'a " Infinity, NaN']);
});
