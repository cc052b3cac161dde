import type { ModbusMeters } from './modbus-metrics.ts';
import type { ReadRequest } from '../frame/read-pdu.ts';

/**
 * A way to devices that carries one request at a time: a TCP connection or a serial line.
 *
 * It knows nothing of tags and scans. Any number of scan classes and unit ids may share it: each has at most
 * one read waiting, and they take turns in the order of asking, so that the queue is never longer than the
 * number of scan classes and none of them starves.
 */
export interface ModbusLink extends AsyncDisposable {
  start(): void;
  /**
   * Readies a read once, so that asking for it again and again costs no allocation.
   *
   * @param timeoutMs Longest wait for the answer, from the moment the request is sent.
   */
  prepare(request: ReadRequest, timeoutMs: number, listener: ReadListener): PreparedRead;
  /**
   * Asks. Exactly one call of the read's listener follows, possibly before this returns; none after disposal.
   * While a lost connection is made anew the read waits; once that has failed, it fails at once until there
   * is a connection again.
   *
   * @param read Not one that still waits for its answer.
   */
  submit(read: PreparedRead): void;
  /** Why there is no connection, for an operator; undefined while there is one, or the first is being made. */
  problem(): string | undefined;
  /** Monotonic time of the last connection attempt, request or answer. */
  lastTickMs(): number;
  /**
   * How long the others who share it wait where a read goes unanswered: its timeout, and until the line is clean again.
   * 0 while there are none.
   */
  neighbourDelayMs(timeoutMs: number): number;
}

/** What becomes of a read. */
export interface ReadListener {
  /** @param bytes The data starts at `offset`; valid during the call only, the link uses it again. */
  answered(bytes: Buffer, offset: number): void;
  refused(exceptionCode: number): void;
  failed(failure: ReadFailure): void;
}

/**
 * Why a read has no answer. With `modbus-link-down` it was never sent; with the others it was, and nothing can
 * be said about the values. May be the same object for many reads.
 */
export type ReadFailure = {
  readonly code: 'modbus-link-down' | 'modbus-timeout' | 'modbus-garbled-answer' | 'modbus-connection-lost';
  /** For an operator, with names and numbers. */
  readonly message: string;
};

/** Who shares a link, and what of it is counted there. */
export type LinkUser = {
  readonly meters: ModbusMeters;
  readonly onChange: () => void;
  /** Registers that may be read beyond what was asked for, where that tells an answer from a late one. */
  readonly spareRegisters: number;
};

/** A read with its frame on the link that prepared it. */
export type PreparedRead = {
  readonly user: LinkUser;
  readonly request: ReadRequest;
  readonly timeoutMs: number;
  readonly listener: ReadListener;
  readonly frame: Buffer;
};
