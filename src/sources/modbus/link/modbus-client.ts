import type { Clock, Timer } from '../../../platform/clock.ts';
import { invariant } from '../../../platform/errors.ts';
import { type AnswerFault, FRAME_BYTES_MAX, type Framing, isFault } from '../frame/framing.ts';
import { AnswerGroup, type CheckedAnswer } from './answer-group.ts';
import { Deadline } from './deadline.ts';
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
  /** A fault that keeps the connection open; `onReady` follows after the silence. @param reads The reads in flight. */
  readonly onFault: (fault: ReadFault, reads: readonly PreparedRead[]) => void;
  /** An unsolicited frame arrived; `onFault` or `onEnd` follows. */
  readonly onUnsolicitedFrame: () => void;
  /** Called once, unless `destroy` was called first; the transport is closed already. @param reads The reads in flight. */
  readonly onEnd: (end: ConnectionEnd, reads: readonly PreparedRead[]) => void;
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
 * Sends reads only and checks every response against its request. A timeout, an unsolicited byte or a wrong field closes
 * the connection: every read in flight fails. On a serial line it starts a silence instead, during which received bytes
 * are discarded.
 *
 * Several reads of one unit may be in flight if the responses carry transaction ids. They are written with one call, and the
 * deadline of the next response counts from the one before it: many devices work on one request at a time.
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
  /** Reads in flight, in the order of their requests. */
  #reads: readonly PreparedRead[] = [];
  /** Set while more than one read is in flight. */
  #group: AnswerGroup | undefined;
  /** First mismatch of bytes among which the response was not found so far. */
  #mismatch: AnswerFault | undefined;
  #transactionId = 0;
  #sentAtMs = 0;
  readonly #deadline: Deadline;
  #rest: Timer | undefined;
  #pausedUntilMs = 0;
  #quietSinceMs = 0;

  constructor(options: ModbusClientOptions, listener: ModbusClientListener) {
    this.#options = options;
    this.#listener = listener;
    this.#clock = options.clock;
    this.#deadline = new Deadline(options.clock, () => this.#onDeadline());
  }

  connect(): void {
    invariant(this.#state === 'new', 'A Modbus client connects once');
    this.#state = 'connecting';
    this.#deadline.set(this.#clock.monotonicMs(), this.#options.connectTimeoutMs);
    this.#options.transport.open({
      onOpen: () => this.#onConnected(),
      onBytes: (bytes, length) => this.#onBytes(bytes, length),
      onEnd: (reason) => this.#onTransportEnd(reason),
    });
  }

  get idle(): boolean {
    return this.#state === 'connected' && this.#reads.length === 0;
  }

  get readsInFlight(): readonly PreparedRead[] {
    return this.#reads;
  }

  /** Sends reads of one unit with one write. Allowed only while `idle`; more than one only with transaction ids. */
  send(reads: readonly PreparedRead[]): void {
    invariant(this.idle, 'The next Modbus requests follow the responses to the last ones');
    const { framing, transport, nextTransactionId } = this.#options;
    invariant(reads.length === 1 || framing.header !== undefined, 'Without transaction ids one request is in flight');
    const requests = reads.map((read) => {
      // The only place that sends frames: a second barrier in addition to the types.
      invariant(isReadFunctionCode(framing.functionCodeOf(read.frame)), 'Only reads are ever sent');
      this.#transactionId = nextTransactionId();
      framing.stamp(read.frame, this.#transactionId);
      return [this.#transactionId, read] as const;
    });
    this.#reads = reads;
    this.#mismatch = undefined;
    // A response does not begin before its request.
    this.#piecesLength = 0;
    this.#sentAtMs = this.#clock.monotonicMs();
    if (reads.length > 1) this.#group = new AnswerGroup(framing, requests, this.#sentAtMs);
    const [first] = reads;
    this.#awaitAnswer(first, this.#sentAtMs);
    transport.write(
      first !== undefined && reads.length === 1 ? first.frame : Buffer.concat(reads.map(({ frame }) => frame)),
    );
  }

  #awaitAnswer(read: PreparedRead | undefined, nowMs: number): void {
    if (read !== undefined) this.#deadline.set(nowMs, read.timeoutMs + this.#options.wireMs(read.request));
  }

  /** Accepts no read until the line has been silent; `onReady` follows. Allowed only while no read is in flight. */
  #quieten(quietMs = this.#options.quietMs): void {
    invariant(this.#reads.length === 0, 'A line with a read in flight is not silent');
    this.#quietSinceMs = this.#clock.monotonicMs();
    this.#awaitSilence(quietMs);
  }

  /** Closes the connection without calling the listener. */
  destroy(): void {
    this.#state = 'ended';
    this.#takeReads();
    this.#deadline.cancel();
    this.#rest?.cancel();
    this.#options.transport.destroy();
  }

  #onConnected(): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'connected';
    this.#deadline.clear();
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
    if (this.#group !== undefined) return this.#onGroupBytes(this.#group, chunk, length);
    const [read] = this.#reads;
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
      this.#deadline.shorten(quietMs);
    }
    if (isFirst) this.#keep(chunk, length);
    return true;
  }

  #onGroupBytes(group: AnswerGroup, chunk: Buffer, length: number): boolean {
    const nowMs = this.#clock.monotonicMs();
    const missing = group.missing;
    const found = group.add(chunk, length, nowMs);
    const [read] = this.#reads;
    if (found !== undefined && read !== undefined)
      return this.#fail('modbus-garbled-answer', faultText(found, read.request, group.rest, group.rest.length));
    if (group.missing === 0) this.#conclude(() => group.answers.forEach((answer) => this.#deliver(answer)));
    else if (group.missing < missing) this.#awaitAnswer(read, nowMs);
    return true;
  }

  #deliver({ read, check, durationMs }: CheckedAnswer): void {
    if (check.kind === 'data') this.#listener.onAnswer(read, check.bytes, check.offset, durationMs);
    else if (check.kind === 'exception') this.#listener.onException(read, check.code, durationMs);
  }

  /** Bytes beyond the buffer are lost; a framing reports so many as a fault. */
  #keep(chunk: Buffer, length: number): void {
    this.#piecesLength += chunk.copy(this.#pieces, this.#piecesLength, 0, length);
  }

  #conclude(deliver: () => void): void {
    const { pauseMs } = this.#options;
    this.#takeReads();
    this.#piecesLength = 0;
    this.#deadline.clear();
    if (pauseMs > 0) this.#pause(pauseMs);
    deliver();
    if (this.idle) this.#listener.onReady();
  }

  /** Returns the reads in flight; none is from now on. */
  #takeReads(): readonly PreparedRead[] {
    const reads = this.#reads;
    this.#reads = [];
    this.#group = undefined;
    return reads;
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
    const reads = this.#takeReads();
    this.#piecesLength = 0;
    this.#deadline.clear();
    this.#quieten();
    this.#listener.onFault({ code, message: `${this.#options.name} ${what}`, hasArrived }, reads);
    return false;
  }

  #end(code: ConnectionEnd['code'], what: string, hasArrived = false): void {
    if (this.#state === 'ended') return;
    const reads = this.#takeReads();
    this.destroy();
    this.#listener.onEnd({ code, message: `${this.#options.name} ${what}`, hasArrived }, reads);
  }

  #onDeadline(): void {
    const [read] = this.#reads;
    if (read === undefined) {
      const what = `did not accept a connection within ${this.#options.connectTimeoutMs} ms`;
      return this.#end('modbus-connect-failed', what);
    }
    const bytes = this.#group?.rest ?? this.#pieces.subarray(0, this.#piecesLength);
    const { length } = bytes;
    const { request, timeoutMs } = read;
    if (this.#mismatch !== undefined && length > 0)
      return void this.#fail('modbus-garbled-answer', faultText(this.#mismatch, request, bytes, length));
    const { unitId, functionCode, address, count } = request;
    const withinMs = Math.round(timeoutMs + this.#options.wireMs(request));
    const what =
      this.#group === undefined
        ? `unit ${unitId} did not answer function ${functionCode}, ${count} from ${address}, within ${withinMs} ms`
        : `unit ${unitId} did not answer ${this.#group.missing} of ${this.#reads.length} requests in flight within ${withinMs} ms`;
    this.#fail('modbus-timeout', length === 0 ? what : `${what}; ${receivedText(bytes, length)}`);
  }
}
