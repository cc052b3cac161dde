import type { AnswerCheck, Framing } from './framing.ts';
import { answerDataBytes, EXCEPTION_BIT, READ_PDU_BYTES, type ReadRequest, writeReadPdu } from './read-pdu.ts';

/** Transaction id, protocol id, length, unit id. */
const HEADER_BYTES = 7;
/** The length field counts from the unit id on. */
const LENGTH_STARTS_AT = 6;
/** Unit id, function code, exception code. */
const EXCEPTION_LENGTH = 3;

const EXCEPTION_CODE_AT = 8;

/** Frames of Modbus TCP. */
export const mbapFraming: Framing = {
  hasTransactionId: true,
  functionCodeAt: HEADER_BYTES,
  answerDataAt: 9,
  exceptionCodeAt: EXCEPTION_CODE_AT,
  requestFrame,
  stamp: stampTransactionId,
  check: checkAnswer,
  // The transaction id identifies every response.
  isUnsolicitedFrame: () => false,
};

/** Returns the encoded request, with transaction id 0 until `stampTransactionId`. */
export function requestFrame(request: ReadRequest): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + READ_PDU_BYTES);
  frame.writeUInt16BE(1 + READ_PDU_BYTES, 4);
  frame.writeUInt8(request.unitId, 6);
  writeReadPdu(frame, HEADER_BYTES, request);
  return frame;
}

/** @param transactionId 0–65535. */
export function stampTransactionId(frame: Buffer, transactionId: number): void {
  frame[0] = transactionId >>> 8;
  frame[1] = transactionId & 0xff;
}

/** @see MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3. */
export function checkAnswer(bytes: Buffer, length: number, transactionId: number, request: ReadRequest): AnswerCheck {
  if (length > 0 && bytes[0] !== transactionId >>> 8) return 'wrong-transaction-id';
  if (length > 1 && bytes[1] !== (transactionId & 0xff)) return 'wrong-transaction-id';
  if (length > 2 && bytes[2] !== 0) return 'wrong-protocol-id';
  if (length > 3 && bytes[3] !== 0) return 'wrong-protocol-id';
  if (length > 4 && bytes[4] !== 0) return 'wrong-length';
  const dataBytes = answerDataBytes(request);
  const announced = bytes[5];
  const refuses = announced === EXCEPTION_LENGTH;
  if (length > 5 && !refuses && announced !== EXCEPTION_LENGTH + dataBytes) return 'wrong-length';
  if (length > 6 && bytes[6] !== request.unitId) return 'wrong-unit-id';
  if (length > 7 && bytes[7] !== (refuses ? request.functionCode | EXCEPTION_BIT : request.functionCode))
    return 'wrong-function-code';
  if (length > 8 && !refuses && bytes[8] !== dataBytes) return 'wrong-byte-count';
  if (length > 8 && refuses && bytes[EXCEPTION_CODE_AT] === 0) return 'exception-code-zero';

  const wholeLength = LENGTH_STARTS_AT + EXCEPTION_LENGTH + (refuses ? 0 : dataBytes);
  if (length < wholeLength) return 'incomplete';
  if (length > wholeLength) return 'bytes-after-the-frame';
  return refuses ? 'exception' : 'data';
}
