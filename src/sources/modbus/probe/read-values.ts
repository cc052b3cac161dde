import { OperatingError } from '../../../platform/errors.ts';
import { describeException, readFunctionCodes, type ReadRequest, readsBits } from '../frame/read-pdu.ts';
import { bitDecoder } from '../frame/register-decode.ts';

/** Returns the values of a response: registers as 0–65535, bits as 0 or 1. */
export function valuesOf({ functionCode, count }: ReadRequest, bytes: Buffer, offset: number): readonly number[] {
  const isBits = readsBits(functionCode);
  return Array.from({ length: count }, (_, index) =>
    isBits ? bitDecoder(index)(bytes, offset) : bytes.readUInt16BE(offset + index * 2),
  );
}

/** Returns the error for a refused read, with what to try next. */
export function refusal(request: ReadRequest, exceptionCode: number): OperatingError {
  const { unitId, functionCode, address, count } = request;
  const what = `Unit ${unitId} refused function ${functionCode}, ${count} from ${address}: ${describeException(exceptionCode)}`;
  const advice = exceptionCode === 2 ? `; ${addressAdvice(request)}` : '';
  return new OperatingError('modbus-refused', 'reject', `${what}${advice}`);
}

/** Returns advice for a refused address: manuals count from 1, often with the register kind as the first digit; the wire counts from 0. */
function addressAdvice({ functionCode, address, count }: ReadRequest): string {
  const firstOfManual = manualNumbers[functionCode];
  if (address >= firstOfManual) return `a manual's ${address} is address ${address - firstOfManual}: try that`;
  if (count > 1) return `try ${address} alone; a manual that counts from 1 means ${Math.max(address - 1, 0)}`;
  return address > 0 ? `a manual that counts from 1 means ${address - 1}: try that` : 'try another kind of register';
}

/** First numbers of manuals by register kind; coils have no digit. */
const manualNumbers = {
  [readFunctionCodes.coil]: Infinity,
  [readFunctionCodes.discrete]: 10_001,
  [readFunctionCodes.holding]: 40_001,
  [readFunctionCodes.input]: 30_001,
} as const;
