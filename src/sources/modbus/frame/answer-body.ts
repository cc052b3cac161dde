import { type AnswerCheck, fault, incomplete } from './framing.ts';
import { answerDataBytes, EXCEPTION_BIT, type ReadRequest } from './read-pdu.ts';

/** Unit id, function code and byte count, or exception code. */
export const BODY_HEADER_BYTES = 3;

/**
 * Checks unit id, function code and byte count, which all framings have.
 *
 * @param at Offset of the unit id.
 * @param end Offset after the last byte that may belong to the body.
 */
export function checkBody(bytes: Buffer, at: number, end: number, request: ReadRequest): AnswerCheck {
  const have = end - at;
  const [unitId, functionCode, third] = [bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0];
  if (have > 0 && unitId !== request.unitId) return fault('wrong-unit-id', request.unitId, unitId);
  const refuses = have > 1 && functionCode === (request.functionCode | EXCEPTION_BIT);
  if (have > 1 && !refuses && functionCode !== request.functionCode)
    return fault('wrong-function-code', request.functionCode, functionCode);
  const dataBytes = refuses ? 0 : answerDataBytes(request);
  if (have > 2 && !refuses && third !== dataBytes) return fault('wrong-byte-count', dataBytes, third);
  if (have > 2 && refuses && third === 0) return fault('exception-code-zero', '1 to 255', 0);
  if (have < BODY_HEADER_BYTES + dataBytes) return incomplete;
  return refuses ? { kind: 'exception', code: third } : { kind: 'data', bytes, offset: at + BODY_HEADER_BYTES };
}

/** Returns the length of a complete body. @param at Offset of the unit id. */
export function bodyLength(bytes: Buffer, at: number, request: ReadRequest): number {
  const refuses = bytes[at + 1] === (request.functionCode | EXCEPTION_BIT);
  return BODY_HEADER_BYTES + (refuses ? 0 : answerDataBytes(request));
}
