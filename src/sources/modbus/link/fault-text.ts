import type { AnswerFault } from '../frame/framing.ts';
import type { ReadRequest } from '../frame/read-pdu.ts';

/** Bytes in a message; the first ones show the fault. */
const BYTES_SHOWN_MAX = 32;

/** Describes a response that does not match its request, with all that was received and what to do. */
export function faultText(fault: AnswerFault, { unitId, functionCode }: ReadRequest, received: string): string {
  const { kind, expected, found } = fault;
  const what = `${kind.startsWith('bytes') ? '' : 'a '}${kind.replaceAll('-', ' ')}`;
  const advice = adviceOn(fault);
  return `answered function ${functionCode} of unit ${unitId} with ${what}: expected ${expected}, found ${found}; ${received}${advice}`;
}

/** Returns the received bytes as hexadecimal text: `received 3 bytes: 01 03 02`. */
export function receivedText(bytes: Buffer, length: number): string {
  const shown = [...bytes.subarray(0, Math.min(length, BYTES_SHOWN_MAX))]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join(' ');
  return `received ${length} byte${length === 1 ? '' : 's'}: ${shown}${length > BYTES_SHOWN_MAX ? ' …' : ''}`;
}

function adviceOn({ kind, found }: AnswerFault): string {
  if (kind === 'wrong-transaction-id')
    return '. If the gateway never returns the id of the request, set transactionId: ignore';
  if (kind === 'wrong-unit-id') return `. If the device always answers as unit ${found}, set unitId: ${found}`;
  if (kind === 'bytes-before-the-frame' || kind === 'bytes-after-the-frame')
    return '. On a serial line, framing: tolerant ignores up to 32 stray bytes that contain no other frame';
  return '';
}
