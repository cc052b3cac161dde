import { bodyLength, BODY_HEADER_BYTES, checkBody } from './answer-body.ts';
import { type AnswerCheck, fault, type Framing, incomplete, isFault, STRAY_BYTES_MAX } from './framing.ts';
import { answerDataBytes, isReadFunctionCode, READ_PDU_BYTES, type ReadRequest, writeReadPdu } from './read-pdu.ts';

const UNIT_ID_BYTES = 1;
const CHECKSUM_BYTES = 2;

export const RTU_REQUEST_BYTES = UNIT_ID_BYTES + READ_PDU_BYTES + CHECKSUM_BYTES;
/** Bytes of a response in addition to its data. */
export const RTU_ANSWER_OVERHEAD_BYTES = BODY_HEADER_BYTES + CHECKSUM_BYTES;

/**
 * RTU frames have a checksum but no transaction id. The end of a frame is found by the requested length and not by
 * silence, because drivers and gateways split the bytes arbitrarily.
 *
 * @see MODBUS over Serial Line Specification V1.02, section 2.5.1.
 */
export const rtuFraming: Framing = {
  hasTransactionId: false,
  strayBytesMax: 0,
  requestFrame,
  stamp: () => undefined,
  functionCodeOf: (frame) => frame[UNIT_ID_BYTES],
  check: checkStrictly,
  isUnsolicitedFrame: (bytes, length) => length >= RTU_ANSWER_OVERHEAD_BYTES && hasChecksum(bytes, 0, length),
  containsFrame,
};

/**
 * RTU frames between stray bytes, as drivers of RS-485 lines and adapters with an echo add them.
 *
 * The response may start up to STRAY_BYTES_MAX bytes after the request was sent. Stray bytes that contain a frame of
 * their own are a fault: another master, a late response, or a device that answers twice.
 */
export const tolerantRtuFraming: Framing = { ...rtuFraming, strayBytesMax: STRAY_BYTES_MAX, check: checkTolerantly };

function requestFrame(request: ReadRequest): Buffer {
  const frame = Buffer.alloc(RTU_REQUEST_BYTES);
  frame.writeUInt8(request.unitId, 0);
  writeReadPdu(frame, UNIT_ID_BYTES, request);
  frame.writeUInt16LE(crc16(frame, UNIT_ID_BYTES + READ_PDU_BYTES), UNIT_ID_BYTES + READ_PDU_BYTES);
  return frame;
}

function checkStrictly(bytes: Buffer, length: number, _transactionId: number, request: ReadRequest): AnswerCheck {
  const found = checkAt(bytes, 0, length, request);
  const extra = length - bodyLength(bytes, 0, request) - CHECKSUM_BYTES;
  return isAnswer(found) && extra > 0 ? fault('bytes-after-the-frame', 'none', extra) : found;
}

function checkTolerantly(bytes: Buffer, length: number, _transactionId: number, request: ReadRequest): AnswerCheck {
  const first = checkAt(bytes, 0, length, request);
  if (isAnswer(first)) return withStrays(bytes, 0, 0, length, request, first);
  const start = echoLength(bytes, length, request);
  if (start === 0 && (first.kind === 'incomplete' || isForeignAnswer(bytes, length))) return first;
  for (let at = Math.max(1, start); at <= start + STRAY_BYTES_MAX && at < length; at += 1) {
    const found = checkAt(bytes, at, length, request);
    if (isAnswer(found)) return withStrays(bytes, start, at, length, request, found);
  }
  const wholeLength = RTU_ANSWER_OVERHEAD_BYTES + answerDataBytes(request);
  const isDamaged = start === 0 && first.kind === 'wrong-checksum';
  if (isDamaged || length > start + STRAY_BYTES_MAX + wholeLength) return first;
  return length - start >= wholeLength && isFault(first) ? { kind: 'unrecognised', mismatch: first } : incomplete;
}

/** Checks a frame at an offset; bytes after it are not checked. */
function checkAt(bytes: Buffer, at: number, length: number, request: ReadRequest): AnswerCheck {
  const body = checkBody(bytes, at, length, request);
  if (!isAnswer(body)) return body;
  const end = at + bodyLength(bytes, at, request) + CHECKSUM_BYTES;
  if (length < end) return incomplete;
  if (hasChecksum(bytes, at, end)) return body;
  return fault(
    'wrong-checksum',
    hexChecksum(crc16(bytes, end - CHECKSUM_BYTES, at)),
    hexChecksum(bytes.readUInt16LE(end - CHECKSUM_BYTES)),
  );
}

/** Returns the answer found at an offset, or a fault if the bytes around it are not stray bytes. */
function withStrays(
  bytes: Buffer,
  start: number,
  at: number,
  length: number,
  request: ReadRequest,
  answer: AnswerCheck,
): AnswerCheck {
  const end = at + bodyLength(bytes, at, request) + CHECKSUM_BYTES;
  if (containsFrame(bytes, start, at)) return fault('bytes-before-the-frame', 'no other frame', at - start);
  const after = length - end;
  if (after > STRAY_BYTES_MAX || containsFrame(bytes, end, length))
    return fault('bytes-after-the-frame', `at most ${STRAY_BYTES_MAX} and no other frame`, after);
  if (after > 0 && isOtherwiseValid(bytes, at, end, length)) return fault('wrong-length', end - at, length - at);
  return answer;
}

/**
 * Returns true if the bytes are also a valid frame with extra bytes in its middle instead of after it. Otherwise one of
 * 65,536 such frames would pass, because the checksum covers only the bytes up to the requested length.
 */
function isOtherwiseValid(bytes: Buffer, at: number, end: number, length: number): boolean {
  const extra = length - end;
  for (let cut = at + 1; cut < end; cut += 1) {
    const body = Buffer.concat([bytes.subarray(at, cut), bytes.subarray(cut + extra, length)]);
    if (hasChecksum(body, 0, body.length)) return true;
  }
  return false;
}

/** Returns true for a complete response to another request: waiting for more is useless. */
function isForeignAnswer(bytes: Buffer, length: number): boolean {
  const [, functionCode = 0, byteCount = 0] = bytes;
  const isData = isReadFunctionCode(functionCode);
  const end = RTU_ANSWER_OVERHEAD_BYTES + (isData ? byteCount : 0);
  return length >= end && (isData || isReadFunctionCode(functionCode & 0x7f)) && hasChecksum(bytes, 0, end);
}

/** Returns the length of the request if an adapter has returned it before the response. */
function echoLength(bytes: Buffer, length: number, request: ReadRequest): number {
  if (length < RTU_REQUEST_BYTES) return 0;
  return requestFrame(request).compare(bytes, 0, RTU_REQUEST_BYTES) === 0 ? RTU_REQUEST_BYTES : 0;
}

function containsFrame(bytes: Buffer, from: number, end: number): boolean {
  for (let at = from; at + RTU_ANSWER_OVERHEAD_BYTES <= end; at += 1)
    for (let frameEnd = at + RTU_ANSWER_OVERHEAD_BYTES; frameEnd <= end; frameEnd += 1)
      if (hasChecksum(bytes, at, frameEnd)) return true;
  return false;
}

function isAnswer({ kind }: AnswerCheck): boolean {
  return kind === 'data' || kind === 'exception';
}

/** Noise passes in one of 65,536 cases. */
function hasChecksum(bytes: Buffer, from: number, end: number): boolean {
  return bytes.readUInt16LE(end - CHECKSUM_BYTES) === crc16(bytes, end - CHECKSUM_BYTES, from);
}

function hexChecksum(checksum: number): string {
  return checksum.toString(16).padStart(4, '0').toUpperCase();
}

/** Returns the CRC-16/MODBUS of the bytes from `from` to `end`; the low byte is sent first. */
export function crc16(bytes: Buffer, end: number, from = 0): number {
  let crc = 0xffff;
  for (let index = from; index < end; index += 1)
    crc = (crc >>> 8) ^ (crcOfByte[(crc ^ (bytes[index] ?? 0)) & 0xff] ?? 0);
  return crc;
}

const crcOfByte = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
  return crc;
});
