import type { Socket } from 'node:net';
import { connect } from 'node:net';
import type { Clock, Timer } from '../../platform/clock.ts';
import { errorCode, errorMessage, invariant } from '../../platform/errors.ts';
import type { AnswerCheck } from './mbap-frame.ts';
import { ANSWER_DATA_AT, checkAnswer, EXCEPTION_CODE_AT, FRAME_BYTES_MAX, stampTransactionId } from './mbap-frame.ts';
import type { PreparedRead } from './modbus-link.ts';
import type { TcpEndpoint } from './modbus-url.ts';

/** Bytes taken from the socket at once; more than a frame, so that a byte too many is seen with its frame. */
const CHUNK_BYTES = 2 * FRAME_BYTES_MAX;
/** Finds a peer that vanished without a word while nothing is asked of it. */
const KEEP_ALIVE_MS = 15_000;

/** Why a connection is over. `message` is for an operator. */
export type ConnectionEnd = {
  readonly code: 'modbus-connect-failed' | 'modbus-connection-lost' | 'modbus-timeout' | 'modbus-garbled-answer';
  readonly message: string;
};

export type TcpClientListener = {
  readonly onConnected: () => void;
  /** The bytes are valid during the call only. */
  readonly onAnswer: (read: PreparedRead, bytes: Buffer, offset: number, durationMs: number) => void;
  readonly onException: (read: PreparedRead, exceptionCode: number, durationMs: number) => void;
  /** Called once, unless `destroy` came first; the socket is gone already. @param read The one in flight. */
  readonly onEnd: (end: ConnectionEnd, read: PreparedRead | undefined) => void;
};

export type TcpClientOptions = TcpEndpoint & {
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  /** Ids go on counting over connections: some gateways answer on a new connection what an old one asked. */
  readonly nextTransactionId: () => number;
};

/**
 * One Modbus TCP connection from its attempt to its end; the next attempt is a new client.
 *
 * Reads only, one request in flight, every answer held against what was asked. The first timeout, the first byte
 * that was not asked for and the first field that is not as it must be end the connection, so that nothing
 * that was in flight can be taken for the answer to what comes later.
 */
export class ModbusTcpClient {
  readonly #options: TcpClientOptions;
  readonly #listener: TcpClientListener;
  readonly #clock: Clock;
  /** What the socket reads into; an answer that comes in one piece is used in place. */
  readonly #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  /** The answer so far, where it comes in pieces. */
  readonly #pieces = Buffer.allocUnsafe(CHUNK_BYTES);
  #piecesLength = 0;
  #socket: Socket | undefined;
  #state: 'new' | 'connecting' | 'connected' | 'ended' = 'new';
  #read: PreparedRead | undefined;
  #transactionId = 0;
  #sentAtMs = 0;
  #deadlineMs = Infinity;
  #timer: Timer | undefined;
  #timerDueMs = Infinity;

  constructor(options: TcpClientOptions, listener: TcpClientListener) {
    this.#options = options;
    this.#listener = listener;
    this.#clock = options.clock;
  }

  connect(): void {
    invariant(this.#state === 'new', 'A Modbus TCP client connects once');
    const { host, port, connectTimeoutMs } = this.#options;
    this.#state = 'connecting';
    this.#setDeadline(this.#clock.monotonicMs(), connectTimeoutMs);
    const socket = connect({
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      onread: { buffer: this.#chunk, callback: (length) => this.#onBytes(length) },
    });
    this.#socket = socket;
    socket.once('connect', () => this.#onConnected());
    socket.on('error', (error) => this.#onSocketEnd(`${errorMessage(error)} (${errorCode(error)})`));
    socket.once('end', () => this.#onSocketEnd('closed by the device'));
    socket.once('close', () => this.#onSocketEnd('closed'));
  }

  get idle(): boolean {
    return this.#state === 'connected' && this.#read === undefined;
  }

  /** Sends a read; only while `idle`. */
  send(read: PreparedRead): void {
    invariant(this.idle, 'One Modbus request is in flight at a time');
    this.#read = read;
    this.#piecesLength = 0;
    this.#transactionId = this.#options.nextTransactionId();
    stampTransactionId(read.frame, this.#transactionId);
    this.#sentAtMs = this.#clock.monotonicMs();
    this.#setDeadline(this.#sentAtMs, read.timeoutMs);
    this.#socket?.write(read.frame);
  }

  /** Ends the connection without a word to the listener. */
  destroy(): void {
    this.#state = 'ended';
    this.#read = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#socket?.destroy();
  }

  #onConnected(): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'connected';
    this.#deadlineMs = Infinity;
    this.#listener.onConnected();
  }

  /** @returns True to go on reading. */
  #onBytes(length: number): boolean {
    if (this.#state === 'ended') return false;
    const read = this.#read;
    if (read === undefined) {
      this.#end('modbus-garbled-answer', `sent ${length} bytes that nothing had asked for`);
      return false;
    }
    const bytes = this.#piecesLength === 0 ? this.#chunk : this.#pieces;
    const check = this.#check(read, length);
    if (check === 'incomplete') return true;
    if (check !== 'data' && check !== 'exception') {
      const { unitId, functionCode } = read.request;
      this.#end(
        'modbus-garbled-answer',
        `answered function ${functionCode} of unit ${unitId} with a ${check.replaceAll('-', ' ')}`,
      );
      return false;
    }
    this.#read = undefined;
    this.#piecesLength = 0;
    this.#deadlineMs = Infinity;
    const durationMs = this.#clock.monotonicMs() - this.#sentAtMs;
    if (check === 'data') this.#listener.onAnswer(read, bytes, ANSWER_DATA_AT, durationMs);
    else this.#listener.onException(read, bytes[EXCEPTION_CODE_AT] ?? 0, durationMs);
    return true;
  }

  /** Checks the answer so far with the chunk that just came; keeps the chunk where more must follow. */
  #check(read: PreparedRead, length: number): AnswerCheck {
    if (this.#piecesLength === 0) {
      const check = checkAnswer(this.#chunk, length, this.#transactionId, read.request);
      if (check === 'incomplete') this.#piecesLength = this.#chunk.copy(this.#pieces, 0, 0, length);
      return check;
    }
    if (this.#piecesLength + length > CHUNK_BYTES) return 'bytes-after-the-frame';
    this.#piecesLength += this.#chunk.copy(this.#pieces, this.#piecesLength, 0, length);
    return checkAnswer(this.#pieces, this.#piecesLength, this.#transactionId, read.request);
  }

  #onSocketEnd(reason: string): void {
    if (this.#state === 'connecting') this.#end('modbus-connect-failed', `could not be reached: ${reason}`);
    else this.#end('modbus-connection-lost', `connection lost: ${reason}`);
  }

  #end(code: ConnectionEnd['code'], what: string): void {
    if (this.#state === 'ended') return;
    const read = this.#read;
    this.destroy();
    this.#listener.onEnd({ code, message: `${this.#options.host}:${this.#options.port} ${what}` }, read);
  }

  /** One timer serves all deadlines: it is left to run, and set anew only when it fires too early for the deadline. */
  #setDeadline(nowMs: number, delayMs: number): void {
    this.#deadlineMs = nowMs + delayMs;
    if (this.#timer !== undefined && this.#timerDueMs <= this.#deadlineMs) return;
    this.#timer?.cancel();
    this.#startTimer(delayMs);
  }

  #startTimer(delayMs: number): void {
    this.#timerDueMs = this.#clock.monotonicMs() + delayMs;
    this.#timer = this.#clock.setTimer(() => this.#onTimer(), delayMs);
  }

  #onTimer(): void {
    this.#timer = undefined;
    if (this.#deadlineMs === Infinity) return;
    const leftMs = this.#deadlineMs - this.#clock.monotonicMs();
    if (leftMs > 0) return this.#startTimer(leftMs);
    // After a stall of the event loop the answer may be in the socket already: one look before giving up.
    setImmediate(() => this.#expire());
  }

  #expire(): void {
    if (this.#state === 'ended' || this.#deadlineMs === Infinity) return;
    const leftMs = this.#deadlineMs - this.#clock.monotonicMs();
    if (leftMs > 0) {
      if (this.#timer === undefined) this.#startTimer(leftMs);
      return;
    }
    const request = this.#read?.request;
    if (request === undefined)
      return this.#end(
        'modbus-connect-failed',
        `did not accept a connection within ${this.#options.connectTimeoutMs} ms`,
      );
    const { unitId, functionCode, address, count } = request;
    const what = `unit ${unitId} did not answer function ${functionCode}, ${count} from ${address}, within ${this.#read?.timeoutMs} ms`;
    this.#end('modbus-timeout', what);
  }
}
