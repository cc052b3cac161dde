/** The four ways to read; andon knows no others, so that it cannot write to a device. */
export const readFunctionCodes = { coil: 1, discrete: 2, holding: 3, input: 4 } as const;
type RegisterKind = keyof typeof readFunctionCodes;
export type ReadFunctionCode = (typeof readFunctionCodes)[RegisterKind];

/** Function code, address, count. */
export const READ_PDU_BYTES = 5;
/** Set in the function code of an answer that refuses. */
export const EXCEPTION_BIT = 0x80;

/** One read of consecutive registers (function codes 3, 4) or bits (1, 2). */
export type ReadRequest = {
  /** 0–255; who is meant behind the connection. */
  readonly unitId: number;
  readonly functionCode: ReadFunctionCode;
  /** 0–65535, as on the wire: 0 is the first. */
  readonly address: number;
  /** Registers (1–125) or bits (1–2000). */
  readonly count: number;
};

/** Whether a byte is one of the four function codes that read. */
export function isReadFunctionCode(byte: number | undefined): boolean {
  return byte !== undefined && byte >= readFunctionCodes.coil && byte <= readFunctionCodes.input;
}

export function readsBits(functionCode: ReadFunctionCode): boolean {
  return functionCode === readFunctionCodes.coil || functionCode === readFunctionCodes.discrete;
}

/** Bytes of data in the answer; a device that sends another byte count has answered something else. */
export function answerDataBytes(request: ReadRequest): number {
  return readsBits(request.functionCode) ? Math.ceil(request.count / 8) : request.count * 2;
}

/** @see MODBUS Application Protocol Specification V1.1b3, sections 6.1–6.4. */
export function writeReadPdu(target: Buffer, offset: number, request: ReadRequest): void {
  target.writeUInt8(request.functionCode, offset);
  target.writeUInt16BE(request.address, offset + 1);
  target.writeUInt16BE(request.count, offset + 3);
}

const exceptionNames: Readonly<Record<number, string>> = {
  1: 'illegal function',
  2: 'illegal data address',
  3: 'illegal data value',
  4: 'server device failure',
  5: 'acknowledge',
  6: 'server device busy',
  7: 'negative acknowledge',
  8: 'memory parity error',
  10: 'gateway path unavailable',
  11: 'gateway target device failed to respond',
};

/** For people: `exception 2 (illegal data address)`. */
export function describeException(exceptionCode: number): string {
  const name = exceptionNames[exceptionCode];
  return name === undefined ? `exception ${exceptionCode}` : `exception ${exceptionCode} (${name})`;
}

/**
 * What a refusal says about the device, and so what to do about it.
 *
 * - `address`: something in the asked range cannot be read; a smaller range may be.
 * - `function`: the device does not know the function code; no range will do.
 * - `busy`: asked again later, the same read may be answered.
 * - `unit-away`: a gateway says that the unit behind it did not answer.
 */
export type RefusalKind = 'address' | 'function' | 'busy' | 'unit-away';

/** Codes that no standard names count as `address`: vendors use them for single registers. */
export function refusalKind(exceptionCode: number): RefusalKind {
  if (exceptionCode === 1) return 'function';
  if (exceptionCode === 5 || exceptionCode === 6) return 'busy';
  if (exceptionCode === 10 || exceptionCode === 11) return 'unit-away';
  return 'address';
}
