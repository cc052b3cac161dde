import { describe, expect, test } from 'vitest';
import { crc16, rtuFraming } from '../../../src/sources/modbus/frame/rtu-frame.ts';
import type { ReadRequest } from '../../../src/sources/modbus/frame/read-pdu.ts';
import { withChecksum } from '../../support/modbus-raw-server.ts';

const request: ReadRequest = { unitId: 17, functionCode: 3, address: 107, count: 3 };
const answer = withChecksum(Buffer.from([17, 3, 6, 0xae, 0x41, 0x56, 0x52, 0x43, 0x40]));

function check(bytes: Buffer, asked = request): string {
  return rtuFraming.check(bytes, bytes.length, 0, asked).kind;
}

describe('a frame on a serial line', () => {
  test('has the checksum that the Modbus world agrees on', () => {
    // The check value that catalogues of CRCs give for CRC-16/MODBUS.
    expect(crc16(Buffer.from('123456789'), 9)).toBe(0x4b37);
    expect(rtuFraming.requestFrame(request).toString('hex')).toBe('1103006b00037687');
  });

  test('is an answer once it is whole, and never before', () => {
    for (let length = 0; length < answer.length; length += 1)
      expect(check(answer.subarray(0, length))).toBe('incomplete');
    expect(check(answer)).toBe('data');
    expect(check(withChecksum(Buffer.from([17, 0x83, 2])))).toBe('exception');
  });

  test.each([
    ['wrong-unit-id', withChecksum(Buffer.from([18, 3, 6, 0, 0, 0, 0, 0, 0]))],
    ['wrong-function-code', withChecksum(Buffer.from([17, 4, 6, 0, 0, 0, 0, 0, 0]))],
    ['wrong-function-code', withChecksum(Buffer.from([17, 0x84, 2]))],
    ['wrong-byte-count', withChecksum(Buffer.from([17, 3, 4, 0, 0, 0, 0]))],
    ['exception-code-zero', withChecksum(Buffer.from([17, 0x83, 0]))],
    ['bytes-after-the-frame', Buffer.concat([answer, Buffer.of(0)])],
    ['wrong-checksum', Buffer.concat([answer.subarray(0, -1), Buffer.of(0)])],
  ])('that does not match its request is a fault: %s', (fault, bytes) => {
    expect(check(bytes)).toBe(fault);
  });

  test('with one or two flipped bits is never taken', () => {
    const bits = answer.length * 8;
    for (let first = 0; first < bits; first += 1)
      for (let second = first; second < bits; second += 1) {
        const spoilt = Buffer.from(answer);
        for (const bit of new Set([first, second])) flip(spoilt, bit);
        expect(check(spoilt)).not.toBe('data');
      }
  });
});

function flip(bytes: Buffer, bit: number): void {
  bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
}
