import { bodyLength, checkBody } from './answer-body.ts';
import { type AnswerCheck, fault, type FrameHeader, type Framing } from './framing.ts';
import { answerDataBytes, READ_PDU_BYTES, type ReadRequest, writeReadPdu } from './read-pdu.ts';

/** Transaction id, protocol id, length, unit id. */
const HEADER_BYTES = 7;
const UNIT_ID_AT = 6;
/** Unit id, function code, exception code: the length that a header announces for an exception. */
const EXCEPTION_LENGTH = 3;

/**
 * Frames of Modbus TCP.
 * @see MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3.
 */
export const mbapFraming: Framing = {
  hasTransactionId: true,
  strayBytesMax: 0,
  requestFrame,
  stamp: stampTransactionId,
  functionCodeOf: (frame) => frame[HEADER_BYTES],
  check: checkAnswer,
  header,
  // The transaction id identifies every response.
  isUnsolicitedFrame: () => false,
  containsFrame: () => false,
};

/** Frames of Modbus TCP from gateways that do not return the transaction id. */
export const mbapFramingWithoutIds: Framing = {
  ...mbapFraming,
  hasTransactionId: false,
  check: (bytes, length, _transactionId, request) => checkFromProtocolId(bytes, length, request),
  header: undefined,
  isUnsolicitedFrame: (bytes, length) => length > HEADER_BYTES && length === UNIT_ID_AT + bytes.readUInt16BE(4),
};

/** Returns the encoded request, with transaction id 0 until `stampTransactionId`. */
export function requestFrame(request: ReadRequest): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + READ_PDU_BYTES);
  frame.writeUInt16BE(1 + READ_PDU_BYTES, 4);
  frame.writeUInt8(request.unitId, UNIT_ID_AT);
  writeReadPdu(frame, HEADER_BYTES, request);
  return frame;
}

/** @param transactionId 0–65535. */
export function stampTransactionId(frame: Buffer, transactionId: number): void {
  frame[0] = transactionId >>> 8;
  frame[1] = transactionId & 0xff;
}

export function checkAnswer(bytes: Buffer, length: number, transactionId: number, request: ReadRequest): AnswerCheck {
  const isWrong =
    (length > 0 && bytes[0] !== transactionId >>> 8) || (length > 1 && bytes[1] !== (transactionId & 0xff));
  if (!isWrong) return checkFromProtocolId(bytes, length, request);
  return fault('wrong-transaction-id', hex16(transactionId), length > 1 ? hex16(bytes.readUInt16BE(0)) : '1 byte');
}

function header(bytes: Buffer, from: number, length: number): FrameHeader | undefined {
  if (length - from < UNIT_ID_AT) return undefined;
  return { transactionId: bytes.readUInt16BE(from), end: from + UNIT_ID_AT + bytes.readUInt16BE(from + 4) };
}

function checkFromProtocolId(bytes: Buffer, length: number, request: ReadRequest): AnswerCheck {
  if ((length > 2 && bytes[2] !== 0) || (length > 3 && bytes[3] !== 0))
    return fault('wrong-protocol-id', 0, length > 3 ? bytes.readUInt16BE(2) : (bytes[2] ?? 0));
  const lengthOfData = EXCEPTION_LENGTH + answerDataBytes(request);
  const announced = length > 5 ? bytes.readUInt16BE(4) : undefined;
  if (
    (length > 4 && bytes[4] !== 0) ||
    (announced !== undefined && announced !== EXCEPTION_LENGTH && announced !== lengthOfData)
  )
    return fault('wrong-length', lengthOfData, announced ?? (bytes[4] ?? 0) * 256);
  const body = checkBody(bytes, UNIT_ID_AT, length, request);
  if (length > HEADER_BYTES && body.kind.startsWith('wrong')) return body;
  const bodyBytes = bodyLength(bytes, UNIT_ID_AT, request);
  if (length > HEADER_BYTES && announced !== bodyBytes) return fault('wrong-length', bodyBytes, announced ?? 0);
  if (length > UNIT_ID_AT + bodyBytes && (body.kind === 'data' || body.kind === 'exception'))
    return fault('bytes-after-the-frame', 'none', length - UNIT_ID_AT - bodyBytes);
  return body;
}

function hex16(word: number): string {
  return `0x${word.toString(16).padStart(4, '0').toUpperCase()}`;
}
