/** The four read functions. andon implements no others and therefore cannot write to a device. */
export const readFunctionCodes = { coil: 1, discrete: 2, holding: 3, input: 4 } as const;
export type RegisterKind = keyof typeof readFunctionCodes;
export type ReadFunctionCode = (typeof readFunctionCodes)[RegisterKind];

/** Function code, address, count. */
export const READ_PDU_BYTES = 5;
/** Bit of the function code that marks an exception response. */
export const EXCEPTION_BIT = 0x80;

/** One read of consecutive registers (function codes 3, 4) or bits (1, 2). */
export type ReadRequest = {
  /** Unit id of the device behind the connection, 0–255. */
  readonly unitId: number;
  readonly functionCode: ReadFunctionCode;
  /** 0–65535, as on the wire: 0 is the first. */
  readonly address: number;
  /** Registers (1–125) or bits (1–2000). */
  readonly count: number;
  /** Size of a register in bits; 16 if undefined. */
  readonly registerBits?: RegisterBits | undefined;
};

/** Sizes of registers. The standard has 16 bits only; Enron and Daniel devices have registers of 32 bits. */
export type RegisterBits = 16 | 32;

/** Most data bytes of a response. @see MODBUS Application Protocol Specification V1.1b3, section 6.3: 125 registers. */
const DATA_BYTES_MAX = 250;
const BITS_MAX = 2000;

/** Returns true if the byte is one of the four read function codes. */
export function isReadFunctionCode(byte: number | undefined): boolean {
  return byte !== undefined && byte >= readFunctionCodes.coil && byte <= readFunctionCodes.input;
}

export function readsBits(functionCode: ReadFunctionCode): boolean {
  return functionCode === readFunctionCodes.coil || functionCode === readFunctionCodes.discrete;
}

/** Returns the number of data bytes in the response. A response with another byte count belongs to another request. */
export function answerDataBytes(request: ReadRequest): number {
  return readsBits(request.functionCode) ? Math.ceil(request.count / 8) : request.count * registerBytes(request);
}

/** Returns the number of bytes of one register. */
export function registerBytes({ registerBits = 16 }: Pick<ReadRequest, 'registerBits'>): number {
  return registerBits / 8;
}

/** Returns the largest count of a request. */
export function countMax(request: Pick<ReadRequest, 'functionCode' | 'registerBits'>): number {
  return readsBits(request.functionCode) ? BITS_MAX : Math.floor(DATA_BYTES_MAX / registerBytes(request));
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

/** Returns the display text: `exception 2 (illegal data address)`. */
export function describeException(exceptionCode: number): string {
  const name = exceptionNames[exceptionCode];
  return name === undefined ? `exception ${exceptionCode}` : `exception ${exceptionCode} (${name})`;
}

/**
 * Cause of an exception response.
 *
 * - `address`: the range contains an address that cannot be read; a smaller range may be readable.
 * - `function`: the device does not support the function code, for any range.
 * - `busy`: the same read may be answered later.
 * - `unit-away`: the unit behind a gateway did not answer.
 */
export type RefusalKind = 'address' | 'function' | 'busy' | 'unit-away';

/** Returns the cause of an exception. Codes outside the standard count as `address`: vendors use them for single registers. */
export function refusalKind(exceptionCode: number): RefusalKind {
  if (exceptionCode === 1) return 'function';
  if (exceptionCode === 5 || exceptionCode === 6) return 'busy';
  if (exceptionCode === 10 || exceptionCode === 11) return 'unit-away';
  return 'address';
}
