import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkAnswer, requestFrame, stampTransactionId } from '../../../src/sources/modbus/frame/mbap-frame.ts';
import { answerDataBytes, type ReadRequest } from '../../../src/sources/modbus/frame/read-pdu.ts';

const place = { unitId: fc.nat(255), address: fc.nat(60_000) };
const requests: fc.Arbitrary<ReadRequest> = fc.oneof(
  fc.record({
    ...place,
    functionCode: fc.constantFrom(1 as const, 2 as const),
    count: fc.integer({ min: 1, max: 2000 }),
  }),
  fc.record({
    ...place,
    functionCode: fc.constantFrom(3 as const, 4 as const),
    count: fc.integer({ min: 1, max: 125 }),
  }),
);
const transactionIds = fc.nat(65_535);

describe('a request', () => {
  test('is 12 bytes, as the specification lays them out', () => {
    const frame = requestFrame({ unitId: 17, functionCode: 3, address: 107, count: 3 });
    stampTransactionId(frame, 0x1501);
    expect(frame.toString('hex')).toBe('1501000000061103006b0003');
  });
});

describe('an answer', () => {
  test('is whole with its last byte, and not before', () => {
    fc.assert(
      fc.property(requests, transactionIds, (request, id) => {
        const answer = answerTo(request, id);
        expect(checkAnswer(answer, answer.length, id, request).kind).toBe('data');
        for (let length = 0; length < answer.length; length += 1)
          expect(checkAnswer(answer, length, id, request).kind).toBe('incomplete');
      }),
    );
  });

  test('that refuses is an exception, with any code but 0', () => {
    fc.assert(
      fc.property(requests, transactionIds, fc.nat(255), (request, id, code) => {
        const refusal = refusalOf(request, id, code);
        expect(checkAnswer(refusal, refusal.length, id, request).kind).toBe(
          code === 0 ? 'exception-code-zero' : 'exception',
        );
        expect(checkAnswer(refusal, refusal.length - 1, id, request).kind).toBe('incomplete');
      }),
    );
  });

  test('with any one bit of its first nine bytes flipped is never taken for data', () => {
    fc.assert(
      fc.property(requests, transactionIds, fc.nat(71), (request, id, bit) => {
        const answer = answerTo(request, id);
        answer[bit >>> 3] = (answer[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
        expect(checkAnswer(answer, answer.length, id, request).kind).not.toBe('data');
      }),
      { numRuns: 2000 },
    );
  });

  test('with an extra byte is refused', () => {
    fc.assert(
      fc.property(requests, transactionIds, fc.uint8Array({ minLength: 1, maxLength: 20 }), (request, id, more) => {
        const answer = Buffer.concat([answerTo(request, id), more]);
        expect(checkAnswer(answer, answer.length, id, request).kind).toBe('bytes-after-the-frame');
      }),
    );
  });

  test('to another request is refused by its first field that differs', () => {
    const asked: ReadRequest = { unitId: 1, functionCode: 3, address: 0, count: 10 };
    const check = (answered: Partial<ReadRequest>, id = 7) => {
      const answer = answerTo({ ...asked, ...answered }, id);
      return checkAnswer(answer, answer.length, 7, asked).kind;
    };
    expect(check({}, 8)).toBe('wrong-transaction-id');
    expect(check({ unitId: 2 })).toBe('wrong-unit-id');
    expect(check({ functionCode: 4 })).toBe('wrong-function-code');
    expect(check({ count: 9 })).toBe('wrong-length');
  });

  test('with a byte count that differs from its length is refused', () => {
    const asked: ReadRequest = { unitId: 1, functionCode: 3, address: 0, count: 10 };
    const answer = answerTo(asked, 7);
    answer[8] = 18;
    expect(checkAnswer(answer, answer.length, 7, asked).kind).toBe('wrong-byte-count');
  });

  test('of random bytes is refused without waiting for more than its header', () => {
    fc.assert(
      fc.property(requests, transactionIds, fc.uint8Array({ minLength: 9, maxLength: 300 }), (request, id, noise) => {
        const bytes = Buffer.from(noise);
        fc.pre(bytes.readUInt16BE(0) !== id);
        expect(checkAnswer(bytes, bytes.length, id, request).kind).toMatch(/^wrong-/);
      }),
    );
  });
});

function answerTo(request: ReadRequest, transactionId: number): Buffer {
  const dataBytes = answerDataBytes(request);
  const frame = Buffer.alloc(9 + dataBytes, 0x33);
  frame.writeUInt16BE(transactionId, 0);
  frame.writeUInt16BE(0, 2);
  frame.writeUInt16BE(3 + dataBytes, 4);
  frame.writeUInt8(request.unitId, 6);
  frame.writeUInt8(request.functionCode, 7);
  frame.writeUInt8(dataBytes, 8);
  return frame;
}

function refusalOf(request: ReadRequest, transactionId: number, code: number): Buffer {
  const frame = Buffer.alloc(9);
  frame.writeUInt16BE(transactionId, 0);
  frame.writeUInt16BE(3, 4);
  frame.writeUInt8(request.unitId, 6);
  frame.writeUInt8(request.functionCode | 0x80, 7);
  frame.writeUInt8(code, 8);
  return frame;
}
