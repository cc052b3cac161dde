import type { AnswerFault } from '../frame/framing.ts';
import type { ReadRequest } from '../frame/read-pdu.ts';
import { rtuFraming } from '../frame/rtu-frame.ts';

/** Bytes in a message; the first ones show the fault. */
const BYTES_SHOWN_MAX = 32;

const RTU_ADVICE = '. These bytes are a valid frame of Modbus RTU: write rtu+tcp:// instead of tcp:// in url';

/** Describes a response that does not match its request, with all that was received and what to do. */
export function faultText(
  fault: AnswerFault,
  { unitId, functionCode }: ReadRequest,
  bytes: Buffer,
  length: number,
): string {
  const { kind, expected, found } = fault;
  const what = `${kind.startsWith('bytes') ? '' : 'a '}${kind.replaceAll('-', ' ')}`;
  const received = receivedText(bytes, length);
  const advice = isMbapFault(fault) && rtuFraming.isUnsolicitedFrame(bytes, length) ? RTU_ADVICE : adviceOn(fault);
  return `answered function ${functionCode} of unit ${unitId} with ${what}: expected ${expected}, found ${found}; ${received}${advice}`;
}

/** Returns the received bytes as hexadecimal text: `received 3 bytes: 01 03 02`. */
export function receivedText(bytes: Buffer, length: number): string {
  const shown = [...bytes.subarray(0, Math.min(length, BYTES_SHOWN_MAX))]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join(' ');
  return `received ${length} byte${length === 1 ? '' : 's'}: ${shown}${length > BYTES_SHOWN_MAX ? ' …' : ''}`;
}

/** The header of Modbus TCP has two numbers that no other framing checks. */
function isMbapFault({ kind }: AnswerFault): boolean {
  return kind === 'wrong-transaction-id' || kind === 'wrong-protocol-id';
}

function adviceOn({ kind, found }: AnswerFault): string {
  if (kind === 'wrong-transaction-id')
    return '. If the gateway never returns the id of the request, set transactionId: ignore';
  if (kind === 'wrong-unit-id') return `. If the device always answers as unit ${found}, set unitId: ${found}`;
  if (kind === 'bytes-before-the-frame' || kind === 'bytes-after-the-frame')
    return '. On a serial line, framing: tolerant ignores up to 32 stray bytes that contain no other frame';
  return '';
}
