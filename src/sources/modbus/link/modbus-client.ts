import type { Clock, Timer } from '../../../platform/clock.ts';
import { invariant } from '../../../platform/errors.ts';
import type { AnswerCheck, Framing } from '../frame/framing.ts';
import { FRAME_BYTES_MAX } from '../frame/framing.ts';
import type { ReadFailure } from './modbus-link.ts';
import type { PreparedRead } from './modbus-link.ts';
import type { ReadRequest } from '../frame/read-pdu.ts';
import { isReadFunctionCode } from '../frame/read-pdu.ts';
import type { Transport } from './transport.ts';

/** Room for an answer in pieces; more than a frame, so that a byte too many is seen with its frame. */
const PIECES_BYTES = 2 * FRAME_BYTES_MAX;
/** A line that does not fall silent within this many times the silence wanted is given up, and opened anew. */
const SILENCES_MAX = 20;

/** Why a connection is over. `message` is for an operator. */
export type ConnectionEnd = {
  readonly code: 'modbus-connect-failed' | ReadFault['code'];
  readonly message: string;
};

/** A read that was sent and has no answer. */
export type ReadFault = {
  readonly code: Exclude<ReadFailure['code'], 'modbus-link-down'>;
  readonly message: string;
};

export type ModbusClientListener = {
  /** Idle: connected, or able to take a read again. */
  readonly onReady: () => void;
  readonly onConnected: () => void;
  /** The bytes are valid during the call only. */
  readonly onAnswer: (read: PreparedRead, bytes: Buffer, offset: number, durationMs: number) => void;
  readonly onException: (read: PreparedRead, exceptionCode: number, durationMs: number) => void;
  /** A fault that the connection outlives; `onReady` follows once the line has been quiet. */
  readonly onFault: (fault: ReadFault, read: PreparedRead | undefined) => void;
  /** A frame that nothing had asked for; what it costs the connection follows. */
  readonly onForeignFrame: () => void;
  /** Called once, unless `destroy` came first; the transport is gone already. @param read The one in flight. */
  readonly onEnd: (end: ConnectionEnd, read: PreparedRead | undefined) => void;
};

export type ModbusClientOptions = {
  readonly transport: Transport;
  readonly framing: Framing;
  /** The other end, for people. */
  readonly name: string;
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  /** Ids go on counting over connections: some gateways answer on a new connection what an old one asked. */
  readonly nextTransactionId: () => number;
  /** Silence between an answer and the next request. */
  readonly pauseMs: number;
  /** Time that a request and its answer need on the line, beside the device's own; part of the deadline. */
  readonly wireMs: (request: ReadRequest) => number;
  /**
   * What a timeout or garbled answer costs. `reconnect`: the connection. `quiet`: a serial line stays open, and nothing is
   * asked until it has been silent for `quietMs`.
   */
  readonly recovery: 'reconnect' | 'quiet';
  readonly quietMs: number;
  /** Waits for that silence before the first request, too. */
  readonly startsQuiet: boolean;
};

/**
 * One connection from its attempt to its end; the next attempt is a new client.
 *
 * Reads only, one request in flight, every answer held against what was asked. The first timeout, the first byte
 * that was not asked for and the first field that is not as it must be end the connection, or on a serial line begin a
 * silence in which everything that arrives is thrown away.
 */
export class ModbusClient {
  readonly #options: ModbusClientOptions;
  readonly #listener: ModbusClientListener;
  readonly #clock: Clock;
  /** The answer so far, where it comes in pieces. */
  readonly #pieces = Buffer.allocUnsafe(PIECES_BYTES);
  #piecesLength = 0;
  /** `pausing` and `quieting` are connected, too, but take no read. */
  #state: 'new' | 'connecting' | 'connected' | 'pausing' | 'quieting' | 'ended' = 'new';
  #read: PreparedRead | undefined;
  #transactionId = 0;
  #sentAtMs = 0;
  #deadlineMs = Infinity;
  #timer: Timer | undefined;
  #timerDueMs = Infinity;
  #rest: Timer | undefined;
  #pausedUntilMs = 0;
  #quietSinceMs = 0;

  constructor(options: ModbusClientOptions, listener: ModbusClientListener) {
    this.#options = options;
    this.#listener = listener;
    this.#clock = options.clock;
  }

  connect(): void {
    invariant(this.#state === 'new', 'A Modbus client connects once');
    this.#state = 'connecting';
    this.#setDeadline(this.#clock.monotonicMs(), this.#options.connectTimeoutMs);
    this.#options.transport.open({
      onOpen: () => this.#onConnected(),
      onBytes: (bytes, length) => this.#onBytes(bytes, length),
      onEnd: (reason) => this.#onTransportEnd(reason),
    });
  }

  get idle(): boolean {
    return this.#state === 'connected' && this.#read === undefined;
  }

  get readInFlight(): PreparedRead | undefined {
    return this.#read;
  }

  /** Sends a read; only while `idle`. */
  send(read: PreparedRead): void {
    invariant(this.idle, 'One Modbus request is in flight at a time');
    const { framing, transport, wireMs, nextTransactionId } = this.#options;
    // The one place where frames leave: what the types rule out stays ruled out where somebody gets round them.
    invariant(isReadFunctionCode(read.frame[framing.functionCodeAt]), 'Only reads are ever sent');
    this.#read = read;
    this.#piecesLength = 0;
    this.#transactionId = nextTransactionId();
    framing.stamp(read.frame, this.#transactionId);
    this.#sentAtMs = this.#clock.monotonicMs();
    this.#setDeadline(this.#sentAtMs, read.timeoutMs + wireMs(read.request));
    transport.write(read.frame);
  }

  /** Takes no read until the line has been silent; `onReady` follows. Only while no read is in flight. */
  #quieten(): void {
    invariant(this.#read === undefined, 'A line with a read in flight is not silent');
    this.#quietSinceMs = this.#clock.monotonicMs();
    this.#awaitSilence();
  }

  /** Ends the connection without a word to the listener. */
  destroy(): void {
    this.#state = 'ended';
    this.#read = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#rest?.cancel();
    this.#options.transport.destroy();
  }

  #onConnected(): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'connected';
    this.#deadlineMs = Infinity;
    this.#listener.onConnected();
    if (this.#options.startsQuiet) this.#quieten();
    else this.#listener.onReady();
  }

  /** @returns True to go on reading. */
  #onBytes(chunk: Buffer, length: number): boolean {
    if (this.#state === 'ended') return false;
    // What a serial port hears while it is being opened belongs to nobody; the silence comes after.
    if (this.#state === 'connecting') return true;
    if (this.#read === undefined && this.#options.framing.isForeignFrame(chunk, length))
      this.#listener.onForeignFrame();
    if (this.#state === 'quieting') {
      this.#awaitSilence();
      return true;
    }
    const read = this.#read;
    if (read === undefined)
      return this.#fail('modbus-garbled-answer', `sent ${length} bytes that nothing had asked for`);
    const bytes = this.#piecesLength === 0 ? chunk : this.#pieces;
    const check = this.#check(read, chunk, length);
    if (check === 'incomplete') return true;
    if (check !== 'data' && check !== 'exception') {
      const { unitId, functionCode } = read.request;
      const found = this.#foundAt(check, bytes);
      const what = `answered function ${functionCode} of unit ${unitId} with a ${check.replaceAll('-', ' ')}${found}`;
      return this.#fail('modbus-garbled-answer', what);
    }
    this.#conclude(read, check, bytes);
    return true;
  }

  #conclude(read: PreparedRead, check: 'data' | 'exception', bytes: Buffer): void {
    const { framing, pauseMs } = this.#options;
    this.#read = undefined;
    this.#piecesLength = 0;
    this.#deadlineMs = Infinity;
    if (pauseMs > 0) this.#pause(pauseMs);
    const durationMs = this.#clock.monotonicMs() - this.#sentAtMs;
    if (check === 'data') this.#listener.onAnswer(read, bytes, framing.answerDataAt, durationMs);
    else this.#listener.onException(read, bytes[framing.exceptionCodeAt] ?? 0, durationMs);
    if (this.idle) this.#listener.onReady();
  }

  /** Checks the answer so far with the chunk that just came; keeps the chunk where more must follow. */
  #check(read: PreparedRead, chunk: Buffer, length: number): AnswerCheck {
    const { framing } = this.#options;
    if (this.#piecesLength === 0) {
      const check = framing.check(chunk, length, this.#transactionId, read.request);
      if (check === 'incomplete') this.#piecesLength = chunk.copy(this.#pieces, 0, 0, length);
      return check;
    }
    if (this.#piecesLength + length > PIECES_BYTES) return 'bytes-after-the-frame';
    this.#piecesLength += chunk.copy(this.#pieces, this.#piecesLength, 0, length);
    return framing.check(this.#pieces, this.#piecesLength, this.#transactionId, read.request);
  }

  /** The number in the place of the one that was due, where it tells who answered, or what: the same in each such answer. */
  #foundAt(fault: AnswerCheck, bytes: Buffer): string {
    const fields: readonly AnswerCheck[] = ['wrong-unit-id', 'wrong-function-code', 'wrong-byte-count'];
    const field = fields.indexOf(fault);
    return field === -1 ? '' : ` (${bytes[this.#options.framing.functionCodeAt - 1 + field]})`;
  }

  #pause(delayMs: number): void {
    this.#state = 'pausing';
    this.#pausedUntilMs = this.#clock.monotonicMs() + delayMs;
    this.#endPause();
  }

  /** Timers are early by up to a millisecond, which is most of the silence between two frames of a fast line. */
  #endPause(): void {
    const leftMs = this.#pausedUntilMs - this.#clock.monotonicMs();
    if (leftMs <= 0) return this.#resume();
    this.#rest?.cancel();
    this.#rest = this.#clock.setTimer(() => this.#endPause(), leftMs);
  }

  /** Each byte that arrives begins the silence anew. */
  #awaitSilence(): void {
    const { quietMs, transport } = this.#options;
    const waitedMs = this.#clock.monotonicMs() - this.#quietSinceMs;
    this.#state = 'quieting';
    this.#rest?.cancel();
    if (waitedMs > SILENCES_MAX * quietMs)
      return this.#end('modbus-garbled-answer', `sends bytes that nothing had asked for, and does not fall silent`);
    this.#rest = this.#clock.setTimer(() => transport.discardInput(() => this.#resume()), quietMs);
  }

  #resume(): void {
    if (this.#state !== 'pausing' && this.#state !== 'quieting') return;
    this.#state = 'connected';
    this.#listener.onReady();
  }

  #onTransportEnd(reason: string): void {
    if (this.#state === 'connecting') this.#end('modbus-connect-failed', `could not be reached: ${reason}`);
    else this.#end('modbus-connection-lost', `connection lost: ${reason}`);
  }

  /** @returns False, for nothing more of what arrived may be read. */
  #fail(code: ReadFault['code'], what: string): false {
    if (this.#options.recovery === 'reconnect') {
      this.#end(code, what);
      return false;
    }
    const read = this.#read;
    this.#read = undefined;
    this.#piecesLength = 0;
    this.#deadlineMs = Infinity;
    this.#quieten();
    this.#listener.onFault({ code, message: `${this.#options.name} ${what}` }, read);
    return false;
  }

  #end(code: ConnectionEnd['code'], what: string): void {
    if (this.#state === 'ended') return;
    const read = this.#read;
    this.destroy();
    this.#listener.onEnd({ code, message: `${this.#options.name} ${what}` }, read);
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
    // After a stall of the event loop the answer may have arrived already: one look before giving up.
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
    if (request === undefined) {
      const what = `did not accept a connection within ${this.#options.connectTimeoutMs} ms`;
      return this.#end('modbus-connect-failed', what);
    }
    const { unitId, functionCode, address, count } = request;
    const withinMs = Math.round((this.#read?.timeoutMs ?? 0) + this.#options.wireMs(request));
    const what = `unit ${unitId} did not answer function ${functionCode}, ${count} from ${address}, within ${withinMs} ms`;
    this.#fail('modbus-timeout', what);
  }
}
