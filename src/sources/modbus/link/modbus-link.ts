import type { ModbusMeters } from './modbus-metrics.ts';
import type { ReadRequest } from '../frame/read-pdu.ts';

/**
 * Link to devices that carries the requests of one unit at a time: a TCP connection or a serial line.
 *
 * It has no notion of tags and scans. Any number of scan classes and unit ids share it. Each has at most one submission
 * waiting and submissions are sent in their order, so the queue is never longer than the number of scan classes and no
 * scan class starves.
 */
export interface ModbusLink extends AsyncDisposable {
  start(): void;
  /**
   * Prepares a read once, so that repeating it needs no allocation.
   *
   * @param timeoutMs Longest wait for the response, from the moment the request is sent.
   */
  prepare(request: ReadRequest, timeoutMs: number, listener: ReadListener): PreparedRead;
  /**
   * Submits reads that are sent together. Exactly one call of the listener of each follows, possibly before this returns;
   * none after disposal. The reads wait while a lost connection is opened again; after a failed attempt, reads fail
   * immediately until the link is up. A fault fails all of them that have no response yet.
   *
   * @param reads Reads of one user that are not waiting for their responses. More than one only on Modbus TCP with
   *   transaction ids and without pauses.
   */
  submit(reads: readonly PreparedRead[]): void;
  /** Reports the end of a scan: the link may close the connection until the next read. */
  scanEnded(): void;
  /** Reason why there is no connection, for an operator; undefined while connected or during the first attempt. */
  problem(): ReadFailure | undefined;
  /** Monotonic time of the last connection attempt, request or response. */
  lastTickMs(): number;
  /** Time that an unanswered read delays the other users: its timeout plus the recovery of the line; 0 without other users. */
  neighbourDelayMs(timeoutMs: number): number;
}

/** Receives the result of a read. */
export interface ReadListener {
  /** @param bytes The data starts at `offset`; valid during the call only, the link reuses the buffer. */
  answered(bytes: Buffer, offset: number): void;
  refused(exceptionCode: number): void;
  failed(failure: ReadFailure): void;
}

/**
 * Reason why a read has no response. With `modbus-link-down` it was not sent; with the other codes it was sent and the
 * values are unknown. The same object may be used for many reads.
 */
export type ReadFailure = {
  readonly code: 'modbus-link-down' | 'modbus-timeout' | 'modbus-garbled-answer' | 'modbus-connection-lost';
  /** Message for an operator, with names and numbers. */
  readonly message: string;
};

/** A user of a link, with its metrics. */
export type LinkUser = {
  readonly meters: ModbusMeters;
  readonly onChange: () => void;
  /** Extra registers that a read may include to make its response differ from a late one. */
  readonly spareRegisters: number;
  /** True if its reads let all waiting reads of other users go first. */
  readonly isBackground?: boolean;
};

/** A read with its frame on the link that prepared it. */
export type PreparedRead = {
  readonly user: LinkUser;
  readonly request: ReadRequest;
  readonly timeoutMs: number;
  readonly listener: ReadListener;
  readonly frame: Buffer;
};
