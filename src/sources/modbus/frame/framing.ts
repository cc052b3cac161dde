import type { ReadRequest } from './read-pdu.ts';

/** Frame format: encodes requests and recognises their responses. */
export interface Framing {
  /**
   * True if a response carries the id of its request. Without an id, only silence and the length of the response tell a
   * late response from a current one.
   */
  readonly hasTransactionId: boolean;
  /** Most stray bytes that are ignored before and after a frame. 0: every stray byte is a fault. */
  readonly strayBytesMax: number;
  /** Returns the encoded request. */
  requestFrame(request: ReadRequest): Buffer;
  /** @param transactionId 0–65535; ignored if the framing has none. */
  stamp(frame: Buffer, transactionId: number): void;
  /** Returns the function code of an encoded request. */
  functionCodeOf(frame: Buffer): number | undefined;
  /**
   * Checks a response against its request: every field that the protocol defines must have the expected value.
   *
   * A strict framing reports a fault with the first byte that cannot belong to the response, so that a garbled frame
   * does not wait for a deadline.
   *
   * @param bytes Bytes received since the request was sent.
   * @param length Number of valid bytes.
   */
  check(bytes: Buffer, length: number, transactionId: number, request: ReadRequest): AnswerCheck;
  /**
   * Reads the header of a response that other responses may follow. Only a framing with transaction ids has it.
   * @param from Offset of the response.
   * @param length Number of valid bytes.
   * @returns Undefined until the header is complete.
   */
  readonly header?: ((bytes: Buffer, from: number, length: number) => FrameHeader | undefined) | undefined;
  /** Returns true if unsolicited bytes form a frame that could be mistaken for a response. */
  isUnsolicitedFrame(bytes: Buffer, length: number): boolean;
  /** Returns true if some of the bytes are a whole frame: they are not noise. */
  containsFrame(bytes: Buffer, from: number, end: number): boolean;
}

/** @property end Offset after the last byte of the frame. */
export type FrameHeader = { readonly transactionId: number; readonly end: number };

/** State of a response. */
export type AnswerCheck =
  | { readonly kind: 'incomplete' }
  /** Enough bytes for the response arrived, and it is not among them; it may follow. */
  | { readonly kind: 'unrecognised'; readonly mismatch: AnswerFault }
  /** The data starts at `offset`. */
  | { readonly kind: 'data'; readonly bytes: Buffer; readonly offset: number }
  | { readonly kind: 'exception'; readonly code: number }
  | AnswerFault;

/** A response that does not match its request. The texts are for an operator. */
export type AnswerFault = {
  readonly kind:
    | 'wrong-transaction-id'
    | 'wrong-protocol-id'
    | 'wrong-length'
    | 'wrong-unit-id'
    | 'wrong-function-code'
    | 'wrong-byte-count'
    | 'wrong-checksum'
    | 'wrong-character'
    | 'exception-code-zero'
    | 'bytes-before-the-frame'
    | 'bytes-after-the-frame';
  readonly expected: string;
  readonly found: string;
};

export const incomplete: AnswerCheck = { kind: 'incomplete' };

export function isFault(check: AnswerCheck): check is AnswerFault {
  return 'expected' in check;
}

export function fault(kind: AnswerFault['kind'], expected: string | number, found: string | number): AnswerFault {
  return { kind, expected: String(expected), found: String(found) };
}

/** Stray bytes that a tolerant framing ignores: drivers of RS-485 lines add 1 to 3 when they turn on or off. */
export const STRAY_BYTES_MAX = 32;

/** Longest frame of any framing: ASCII sends two characters for each byte of unit id, PDU and checksum. */
export const FRAME_BYTES_MAX = 513;
