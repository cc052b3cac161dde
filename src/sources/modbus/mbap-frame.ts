import type { ReadRequest } from './read-pdu.ts';
import { answerDataBytes, EXCEPTION_BIT, READ_PDU_BYTES, writeReadPdu } from './read-pdu.ts';

/** Transaction id, protocol id, length, unit id. */
const HEADER_BYTES = 7;
/** The length field counts from the unit id on. */
const LENGTH_STARTS_AT = 6;
/** Unit id, function code, exception code. */
const EXCEPTION_LENGTH = 3;

/** Where an exception's code is, and where an answer's data starts, in a frame that `checkAnswer` passed. */
export const EXCEPTION_CODE_AT = 8;
export const ANSWER_DATA_AT = 9;
/** Longest frame of Modbus TCP: header and a PDU of 253 bytes. */
export const FRAME_BYTES_MAX = HEADER_BYTES + 253;

/** A request as it goes on the wire, with transaction id 0 until `stampTransactionId`. */
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

/** What an answer is: still on its way, whole, or not the answer to what was asked. */
export type AnswerCheck = 'incomplete' | 'data' | 'exception' | AnswerFault;
type AnswerFault =
  | 'wrong-transaction-id'
  | 'wrong-protocol-id'
  | 'wrong-length'
  | 'wrong-unit-id'
  | 'wrong-function-code'
  | 'wrong-byte-count'
  | 'exception-code-zero'
  | 'bytes-after-the-frame';

/**
 * Holds an answer against what was asked: every field that the protocol fixes must be as fixed.
 *
 * A fault is found with the first byte that cannot belong to the answer, so that a garbled frame does not
 * wait for a deadline. Bytes after the frame are a fault too: with one request in flight nothing may follow.
 *
 * @param bytes What arrived since the request was sent, from byte 0 on.
 * @param length How many bytes of it are valid.
 * @see MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3.
 */
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
