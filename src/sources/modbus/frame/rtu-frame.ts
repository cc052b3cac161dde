import type { AnswerCheck, Framing } from './framing.ts';
import { answerDataBytes, EXCEPTION_BIT, READ_PDU_BYTES, type ReadRequest, writeReadPdu } from './read-pdu.ts';

const UNIT_ID_BYTES = 1;
const CHECKSUM_BYTES = 2;
/** Unit id, function code and byte count, or exception code. */
const HEADER_BYTES = 3;

export const RTU_REQUEST_BYTES = UNIT_ID_BYTES + READ_PDU_BYTES + CHECKSUM_BYTES;
/** Bytes of a response in addition to its data. */
export const RTU_ANSWER_OVERHEAD_BYTES = HEADER_BYTES + CHECKSUM_BYTES;

/**
 * RTU frames have a checksum but no transaction id. The end of a frame is found by the requested length and not by
 * silence, because drivers and gateways split the bytes arbitrarily.
 *
 * @see MODBUS over Serial Line Specification V1.02, section 2.5.1.
 */
export const rtuFraming: Framing = {
  hasTransactionId: false,
  functionCodeAt: UNIT_ID_BYTES,
  answerDataAt: HEADER_BYTES,
  exceptionCodeAt: 2,
  requestFrame,
  stamp: () => undefined,
  check,
  isUnsolicitedFrame,
};

function requestFrame(request: ReadRequest): Buffer {
  const frame = Buffer.alloc(RTU_REQUEST_BYTES);
  frame.writeUInt8(request.unitId, 0);
  writeReadPdu(frame, UNIT_ID_BYTES, request);
  frame.writeUInt16LE(crc16(frame, UNIT_ID_BYTES + READ_PDU_BYTES), UNIT_ID_BYTES + READ_PDU_BYTES);
  return frame;
}

function check(bytes: Buffer, length: number, _transactionId: number, request: ReadRequest): AnswerCheck {
  if (length > 0 && bytes[0] !== request.unitId) return 'wrong-unit-id';
  const refuses = length > 1 && bytes[1] === (request.functionCode | EXCEPTION_BIT);
  if (length > 1 && !refuses && bytes[1] !== request.functionCode) return 'wrong-function-code';
  const dataBytes = refuses ? 0 : answerDataBytes(request);
  if (length > 2 && !refuses && bytes[2] !== dataBytes) return 'wrong-byte-count';
  if (length > 2 && refuses && bytes[2] === 0) return 'exception-code-zero';

  const checkedLength = HEADER_BYTES + dataBytes;
  const wholeLength = checkedLength + CHECKSUM_BYTES;
  if (length < wholeLength) return 'incomplete';
  if (length > wholeLength) return 'bytes-after-the-frame';
  if (bytes.readUInt16LE(checkedLength) !== crc16(bytes, checkedLength)) return 'wrong-checksum';
  return refuses ? 'exception' : 'data';
}

/** Noise passes the checksum in one of 65,536 cases. */
function isUnsolicitedFrame(bytes: Buffer, length: number): boolean {
  const checkedLength = length - CHECKSUM_BYTES;
  return checkedLength >= HEADER_BYTES && bytes.readUInt16LE(checkedLength) === crc16(bytes, checkedLength);
}

/** Returns the CRC-16/MODBUS of the first `length` bytes; the low byte is sent first. */
export function crc16(bytes: Buffer, length: number): number {
  let crc = 0xffff;
  for (let index = 0; index < length; index += 1)
    crc = (crc >>> 8) ^ (crcOfByte[(crc ^ (bytes[index] ?? 0)) & 0xff] ?? 0);
  return crc;
}

const crcOfByte = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
  return crc;
});
