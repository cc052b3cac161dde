import { bodyLength, checkBody } from './answer-body.ts';
import { type AnswerCheck, fault, type Framing, FRAME_BYTES_MAX, incomplete, STRAY_BYTES_MAX } from './framing.ts';
import { READ_PDU_BYTES, type ReadRequest, writeReadPdu } from './read-pdu.ts';

const COLON = 0x3a;
const LINE_FEED = 0x0a;
const END = '\r\n';
const UNIT_ID_BYTES = 1;
const CHECKSUM_BYTES = 1;
const FRAMING_CHARACTERS = 1 + END.length;

/** Returns the characters of a frame. @param bodyBytes Unit id and PDU. */
export function asciiFrameLength(bodyBytes: number): number {
  return FRAMING_CHARACTERS + 2 * (bodyBytes + CHECKSUM_BYTES);
}

/**
 * Modbus ASCII: a colon, two hexadecimal digits for each byte, a checksum and CR LF.
 *
 * @see MODBUS over Serial Line Specification V1.02, section 2.5.2.
 */
export const asciiFraming: Framing = {
  hasTransactionId: false,
  strayBytesMax: 0,
  requestFrame,
  stamp: () => undefined,
  functionCodeOf: (frame) => Number.parseInt(frame.toString('latin1', 3, 5), 16),
  check: (bytes, length, _transactionId, request) => check(bytes, length, request, 0),
  isUnsolicitedFrame: (bytes, length) => containsFrame(bytes, 0, length),
  containsFrame,
};

/** Modbus ASCII with stray bytes before the colon and after the line feed. */
export const tolerantAsciiFraming: Framing = {
  ...asciiFraming,
  strayBytesMax: STRAY_BYTES_MAX,
  check: (bytes, length, _transactionId, request) =>
    check(bytes, length, request, STRAY_BYTES_MAX, echoLength(bytes, length, request)),
};

function requestFrame(request: ReadRequest): Buffer {
  const body = Buffer.alloc(UNIT_ID_BYTES + READ_PDU_BYTES);
  body.writeUInt8(request.unitId, 0);
  writeReadPdu(body, UNIT_ID_BYTES, request);
  const checked = Buffer.concat([body, Buffer.of(-sum(body) & 0xff)]);
  return Buffer.from(`:${checked.toString('hex').toUpperCase()}${END}`, 'latin1');
}

function check(bytes: Buffer, length: number, request: ReadRequest, straysMax: number, start = 0): AnswerCheck {
  const at = bytes.subarray(0, length).indexOf(COLON, start);
  const before = (at === -1 ? length : at) - start;
  if (before > straysMax) return fault('wrong-character', "':' at the start", printable(bytes, start));
  const end = at === -1 ? -1 : bytes.subarray(0, length).indexOf(LINE_FEED, at) + 1;
  if (end < 1) return length - start > FRAME_BYTES_MAX ? fault('wrong-length', FRAME_BYTES_MAX, length) : incomplete;

  const text = bytes.toString('latin1', at, end);
  if (!/^:(?:[0-9A-Fa-f]{2}){4,}\r\n$/.test(text))
    return fault('wrong-character', 'hexadecimal digits and CR LF', JSON.stringify(text.slice(0, STRAY_BYTES_MAX)));
  const body = Buffer.from(text.slice(1, -END.length), 'hex');
  const found = checkBody(body, 0, body.length - CHECKSUM_BYTES, request);
  const bodyBytes = bodyLength(body, 0, request) + CHECKSUM_BYTES;
  if (
    found.kind === 'incomplete' ||
    ((found.kind === 'data' || found.kind === 'exception') && body.length !== bodyBytes)
  )
    return fault('wrong-length', asciiFrameLength(bodyBytes - CHECKSUM_BYTES), text.length);
  if ((sum(body) & 0xff) !== 0) return fault('wrong-checksum', 'a sum of 0', sum(body) & 0xff);
  const after = length - end;
  if (after > straysMax || bytes.subarray(end, length).includes(COLON))
    return fault('bytes-after-the-frame', straysMax === 0 ? 'none' : `at most ${straysMax} and no other frame`, after);
  return found;
}

/** Returns the length of the request if an adapter has returned it before the response. */
function echoLength(bytes: Buffer, length: number, request: ReadRequest): number {
  const frame = requestFrame(request);
  return length >= frame.length && frame.compare(bytes, 0, frame.length) === 0 ? frame.length : 0;
}

function containsFrame(bytes: Buffer, from: number, end: number): boolean {
  const colon = bytes.subarray(0, end).indexOf(COLON, from);
  return colon !== -1 && bytes.subarray(0, end).includes(LINE_FEED, colon);
}

function sum(bytes: Buffer): number {
  return bytes.reduce((total, byte) => total + byte, 0);
}

function printable(bytes: Buffer, at: number): string {
  return `0x${(bytes[at] ?? 0).toString(16).padStart(2, '0')}`;
}
