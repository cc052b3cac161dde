import type { Clock, Timer } from '../../../platform/clock.ts';
import { invariant } from '../../../platform/errors.ts';
import { type AnswerFault, FRAME_BYTES_MAX, type Framing, isFault } from '../frame/framing.ts';
import { faultText, receivedText } from './fault-text.ts';
import type { ReadFailure, PreparedRead } from './modbus-link.ts';
import { isReadFunctionCode, type ReadRequest } from '../frame/read-pdu.ts';
import type { Transport } from './transport.ts';

/** Buffer for a response in pieces; larger than a frame, so that an extra byte is seen together with its frame. */
const PIECES_BYTES = 2 * FRAME_BYTES_MAX;
/** A line that is not silent within this many times the required silence is closed and opened again. */
const SILENCES_MAX = 20;

/** Cause of the end of a connection. `message` is for an operator. */
export type ConnectionEnd = {
  readonly code: 'modbus-connect-failed' | ReadFault['code'];
  readonly message: string;
  readonly hasArrived: boolean;
};

/** Fault of a read that was sent and got no valid response. */
export type ReadFault = {
  readonly code: Exclude<ReadFailure['code'], 'modbus-link-down'>;
  readonly message: string;
  /** True if the response arrived, although damaged: no late one follows. */
  readonly hasArrived: boolean;
};

export type ModbusClientListener = {
  /** Called when the client can take a read: after connecting, and after each read. */
  readonly onReady: () => void;
  readonly onConnected: () => void;
  /** The bytes are valid during the call only. */
  readonly onAnswer: (read: PreparedRead, bytes: Buffer, offset: number, durationMs: number) => void;
  readonly onException: (read: PreparedRead, exceptionCode: number, durationMs: number) => void;
  /** A fault that keeps the connection open; `onReady` follows after the silence. */
  readonly onFault: (fault: ReadFault, read: PreparedRead | undefined) => void;
  /** An unsolicited frame arrived; `onFault` or `onEnd` follows. */
  readonly onUnsolicitedFrame: () => void;
  /** Called once, unless `destroy` was called first; the transport is closed already. @param read The read in flight. */
  readonly onEnd: (end: ConnectionEnd, read: PreparedRead | undefined) => void;
};

export type ModbusClientOptions = {
  readonly transport: Transport;
  readonly framing: Framing;
  /** Display name of the endpoint. */
  readonly name: string;
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  /** Ids continue over connections: some gateways answer requests of an old connection on the new one. */
  readonly nextTransactionId: () => number;
  /** Silence between a response and the next request. */
  readonly pauseMs: number;
  /** Time that request and response need on the line, without the device's own time; part of the deadline. */
  readonly wireMs: (request: ReadRequest) => number;
  /**
   * Reaction to a timeout or a garbled response. `reconnect`: the connection is closed. `quiet`: a serial line stays
   * open, and the next request waits until the line has been silent for `quietMs`.
   */
  readonly recovery: 'reconnect' | 'quiet';
  readonly quietMs: number;
  /** Silence between the connection and the first request. */
  readonly startQuietMs: number;
};

/**
 * One connection, from its attempt to its end; the next attempt is a new client.
 *
 * Sends reads only, with one request in flight, and checks every response against its request. A timeout, an
 * unsolicited byte or a wrong field closes the connection. On a serial line it starts a silence instead, during which
 * received bytes are discarded.
 */
export class ModbusClient {
  readonly #options: ModbusClientOptions;
  readonly #listener: ModbusClientListener;
  readonly #clock: Clock;
  /** Bytes of the response so far if it arrives in pieces; without a read in flight, stray bytes since the last response. */
  readonly #pieces = Buffer.allocUnsafe(PIECES_BYTES);
  #piecesLength = 0;
  /** In `pausing` and `quieting` the client is connected but takes no read. */
  #state: 'new' | 'connecting' | 'connected' | 'pausing' | 'quieting' | 'ended' = 'new';
  #read: PreparedRead | undefined;
  /** First mismatch of bytes among which the response was not found so far. */
  #mismatch: AnswerFault | undefined;
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

  /** Sends a read. Allowed only while `idle`. */
  send(read: PreparedRead): void {
    invariant(this.idle, 'One Modbus request is in flight at a time');
    const { framing, transport, wireMs, nextTransactionId } = this.#options;
    // The only place that sends frames: a second barrier in addition to the types.
    invariant(isReadFunctionCode(framing.functionCodeOf(read.frame)), 'Only reads are ever sent');
    this.#read = read;
    this.#mismatch = undefined;
    // A response does not begin before its request.
    this.#piecesLength = 0;
    this.#transactionId = nextTransactionId();
    framing.stamp(read.frame, this.#transactionId);
    this.#sentAtMs = this.#clock.monotonicMs();
    this.#setDeadline(this.#sentAtMs, read.timeoutMs + wireMs(read.request));
    transport.write(read.frame);
  }

  /** Accepts no read until the line has been silent; `onReady` follows. Allowed only while no read is in flight. */
  #quieten(quietMs = this.#options.quietMs): void {
    invariant(this.#read === undefined, 'A line with a read in flight is not silent');
    this.#quietSinceMs = this.#clock.monotonicMs();
    this.#awaitSilence(quietMs);
  }

  /** Closes the connection without calling the listener. */
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
    if (this.#options.startQuietMs > 0) this.#quieten(this.#options.startQuietMs);
    else this.#listener.onReady();
  }

  /** @returns True to continue reading. */
  #onBytes(chunk: Buffer, length: number): boolean {
    if (this.#state === 'ended') return false;
    // Bytes that arrive while a serial port opens belong to no request; the silence follows.
    if (this.#state === 'connecting') return true;
    if (this.#state === 'quieting') {
      if (this.#options.framing.isUnsolicitedFrame(chunk, length)) this.#listener.onUnsolicitedFrame();
      this.#awaitSilence();
      return true;
    }
    const read = this.#read;
    return read === undefined ? this.#onUnsolicitedBytes(chunk, length) : this.#onAnswerBytes(read, chunk, length);
  }

  /** Ignores the stray bytes that a tolerant framing allows. */
  #onUnsolicitedBytes(chunk: Buffer, length: number): boolean {
    const { framing } = this.#options;
    const isShort = this.#piecesLength + length <= framing.strayBytesMax;
    if (isShort) this.#keep(chunk, length);
    const [bytes, count] = isShort ? [this.#pieces, this.#piecesLength] : [chunk, length];
    if (isShort && !framing.containsFrame(bytes, 0, count)) return true;
    if (framing.isUnsolicitedFrame(bytes, count)) this.#listener.onUnsolicitedFrame();
    return this.#fail('modbus-garbled-answer', `sent unsolicited bytes; ${receivedText(bytes, count)}`);
  }

  #onAnswerBytes(read: PreparedRead, chunk: Buffer, length: number): boolean {
    const { framing, quietMs } = this.#options;
    const isFirst = this.#piecesLength === 0;
    if (!isFirst) this.#keep(chunk, length);
    const [bytes, count] = isFirst ? [chunk, length] : [this.#pieces, this.#piecesLength];
    const check = framing.check(bytes, count, this.#transactionId, read.request);
    if (isFault(check)) {
      const text = faultText(check, read.request, bytes, count);
      return this.#fail('modbus-garbled-answer', text, check.kind === 'wrong-checksum');
    }
    if (check.kind === 'data' || check.kind === 'exception') {
      this.#conclude(() => {
        const durationMs = this.#clock.monotonicMs() - this.#sentAtMs;
        if (check.kind === 'data') this.#listener.onAnswer(read, check.bytes, check.offset, durationMs);
        else this.#listener.onException(read, check.code, durationMs);
      });
      return true;
    }
    if (check.kind === 'unrecognised') {
      this.#mismatch = check.mismatch;
      this.#shortenDeadline(quietMs);
    }
    if (isFirst) this.#keep(chunk, length);
    return true;
  }

  /** Bytes beyond the buffer are lost; a framing reports so many as a fault. */
  #keep(chunk: Buffer, length: number): void {
    this.#piecesLength += chunk.copy(this.#pieces, this.#piecesLength, 0, length);
  }

  #conclude(deliver: () => void): void {
    const { pauseMs } = this.#options;
    this.#read = undefined;
    this.#piecesLength = 0;
    this.#deadlineMs = Infinity;
    if (pauseMs > 0) this.#pause(pauseMs);
    deliver();
    if (this.idle) this.#listener.onReady();
  }

  #pause(delayMs: number): void {
    this.#state = 'pausing';
    this.#pausedUntilMs = this.#clock.monotonicMs() + delayMs;
    this.#endPause();
  }

  /** Ends the pause only after its full time: timers fire up to 1 ms early, which is most of the silence on a fast line. */
  #endPause(): void {
    const leftMs = this.#pausedUntilMs - this.#clock.monotonicMs();
    if (leftMs <= 0) return this.#resume();
    this.#rest?.cancel();
    this.#rest = this.#clock.setTimer(() => this.#endPause(), leftMs);
  }

  /** Restarts the silence with each byte that arrives. */
  #awaitSilence(quietMs = this.#options.quietMs): void {
    const { transport } = this.#options;
    const waitedMs = this.#clock.monotonicMs() - this.#quietSinceMs;
    this.#state = 'quieting';
    this.#rest?.cancel();
    if (waitedMs > SILENCES_MAX * quietMs)
      return this.#end('modbus-garbled-answer', `sends unsolicited bytes without a pause`);
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

  /** @returns False: no further received byte may be used. */
  #fail(code: ReadFault['code'], what: string, hasArrived = false): false {
    if (this.#options.recovery === 'reconnect') {
      this.#end(code, what, hasArrived);
      return false;
    }
    const read = this.#read;
    this.#read = undefined;
    this.#piecesLength = 0;
    this.#deadlineMs = Infinity;
    this.#quieten();
    this.#listener.onFault({ code, message: `${this.#options.name} ${what}`, hasArrived }, read);
    return false;
  }

  #end(code: ConnectionEnd['code'], what: string, hasArrived = false): void {
    if (this.#state === 'ended') return;
    const read = this.#read;
    this.destroy();
    this.#listener.onEnd({ code, message: `${this.#options.name} ${what}`, hasArrived }, read);
  }

  /** One timer serves all deadlines. It keeps running and is set again only if it fires before the deadline. */
  #setDeadline(nowMs: number, delayMs: number): void {
    this.#deadlineMs = nowMs + delayMs;
    if (this.#timer !== undefined && this.#timerDueMs <= this.#deadlineMs) return;
    this.#timer?.cancel();
    this.#startTimer(delayMs);
  }

  #shortenDeadline(delayMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    this.#setDeadline(nowMs, Math.min(delayMs, this.#deadlineMs - nowMs));
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
    // After a stall of the event loop the response may be in the socket already: read it before the timeout is reported.
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
    const [bytes, length] = [this.#pieces, this.#piecesLength];
    if (this.#mismatch !== undefined && length > 0)
      return void this.#fail('modbus-garbled-answer', faultText(this.#mismatch, request, bytes, length));
    const { unitId, functionCode, address, count } = request;
    const withinMs = Math.round((this.#read?.timeoutMs ?? 0) + this.#options.wireMs(request));
    const what = `unit ${unitId} did not answer function ${functionCode}, ${count} from ${address}, within ${withinMs} ms`;
    this.#fail('modbus-timeout', length === 0 ? what : `${what}; ${receivedText(bytes, length)}`);
  }
}
