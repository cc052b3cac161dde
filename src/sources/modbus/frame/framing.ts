import type { ReadRequest } from './read-pdu.ts';

/** Frame format: encodes requests and recognises their responses. */
export interface Framing {
  /** True if a response carries the id of its request. Without an id, only silence and check reads tell a late response from a current one. */
  readonly hasTransactionId: boolean;
  /** Offset of the function code in requests and responses. */
  readonly functionCodeAt: number;
  /** Offset of the data in a response that passed `check`. */
  readonly answerDataAt: number;
  readonly exceptionCodeAt: number;
  /** Returns the encoded request. */
  requestFrame(request: ReadRequest): Buffer;
  /** @param transactionId 0–65535; ignored if the framing has none. */
  stamp(frame: Buffer, transactionId: number): void;
  /**
   * Checks a response against its request: every field that the protocol defines must have the expected value.
   *
   * Reports a fault with the first byte that cannot belong to the response, so that a garbled frame does not
   * wait for a deadline. Bytes after the frame are a fault too: only one request is in flight.
   *
   * @param bytes Bytes received since the request was sent.
   * @param length Number of valid bytes.
   */
  check(bytes: Buffer, length: number, transactionId: number, request: ReadRequest): AnswerCheck;
  /** Returns true if unsolicited bytes form a frame that could be mistaken for a response. */
  isUnsolicitedFrame(bytes: Buffer, length: number): boolean;
}

/** State of a response: incomplete, complete with data or an exception, or a fault. */
export type AnswerCheck = 'incomplete' | 'data' | 'exception' | AnswerFault;
type AnswerFault =
  | 'wrong-transaction-id'
  | 'wrong-protocol-id'
  | 'wrong-length'
  | 'wrong-unit-id'
  | 'wrong-function-code'
  | 'wrong-byte-count'
  | 'wrong-checksum'
  | 'exception-code-zero'
  | 'bytes-after-the-frame';

/** Longest frame of any framing: Modbus TCP's header of 7 bytes and a PDU of 253. */
export const FRAME_BYTES_MAX = 260;
