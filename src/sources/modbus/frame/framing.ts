import type { ReadRequest } from './read-pdu.ts';

/** How a request and its answer are put on the wire, and told from anything else there. */
export interface Framing {
  /** True where an answer names its question; where not, only quiet and proof keep a late answer from being taken for another. */
  readonly hasTransactionId: boolean;
  /** Where the function code is, in requests and answers. */
  readonly functionCodeAt: number;
  /** Where the data of an answer starts, in a frame that `check` passed. */
  readonly answerDataAt: number;
  readonly exceptionCodeAt: number;
  /** A request as it goes on the wire. */
  requestFrame(request: ReadRequest): Buffer;
  /** @param transactionId 0–65535; ignored where there is none on the wire. */
  stamp(frame: Buffer, transactionId: number): void;
  /**
   * Holds an answer against what was asked: every field that the protocol fixes must be as fixed.
   *
   * A fault is found with the first byte that cannot belong to the answer, so that a garbled frame does not
   * wait for a deadline. Bytes after the frame are a fault too: with one request in flight nothing may follow.
   *
   * @param bytes What arrived since the request was sent, from byte 0 on.
   * @param length How many bytes of it are valid.
   */
  check(bytes: Buffer, length: number, transactionId: number, request: ReadRequest): AnswerCheck;
  /** Whether bytes that nothing had asked for are a frame that could pass for an answer. */
  isForeignFrame(bytes: Buffer, length: number): boolean;
}

/** What an answer is: still on its way, whole, or not the answer to what was asked. */
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
