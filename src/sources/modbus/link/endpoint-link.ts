import { Backoff } from '../../../platform/backoff.ts';
import type { Timer } from '../../../platform/clock.ts';
import type { Deps } from '../../../platform/deps.ts';
import { silenceMs, wireMs } from '../frame/bus-time.ts';
import { ForeignFrames } from './foreign-frames.ts';
import type { Framing } from '../frame/framing.ts';
import { mbapFraming } from '../frame/mbap-frame.ts';
import type { ConnectionEnd, ReadFault } from './modbus-client.ts';
import { ModbusClient } from './modbus-client.ts';
import type { LinkUser, PreparedRead, ReadFailure, ReadListener } from './modbus-link.ts';
import { OwedAnswers } from './owed-answers.ts';
import type { ModbusEndpoint } from '../frame/modbus-url.ts';
import { endpointName } from '../frame/modbus-url.ts';
import type { ReadRequest } from '../frame/read-pdu.ts';
import { rtuFraming } from '../frame/rtu-frame.ts';
import { SerialTransport } from './serial-transport.ts';
import { TcpTransport } from './tcp-transport.ts';
import type { Transport } from './transport.ts';

const TRANSACTION_IDS = 65_536;
/** Connections in a row without one answer after which the link is down: the first may be bad luck. */
const FRUITLESS_CONNECTIONS_MAX = 2;
/** Silence after a fault on a line without transaction ids: longer than adapters and gateways hold bytes back. */
const QUIET_MS = 150;

export type EndpointLinkOptions = {
  readonly endpoint: ModbusEndpoint;
  readonly connectTimeoutMs: number;
  readonly reconnectFirstMs: number;
  readonly reconnectMaxMs: number;
  /** Between an answer and the next request; never less than the line itself needs. */
  readonly pauseMs: number;
};

/**
 * The one connection to an endpoint, for all who read there. It comes back by itself: each attempt is a new client, with
 * growing waits between attempts.
 *
 * A lost connection is made anew while reads wait; once an attempt has failed, or two connections in a row
 * were good for nothing, the link is down, and reads fail at once until it is up. The waits start over with the first good answer, and after a
 * timeout: a unit that is away is paced by its own breaker and must not cost the others their connection.
 *
 * On a framing without transaction ids a unit that owes an answer is asked only for what cannot be taken for it.
 */
export class EndpointLink {
  readonly #options: EndpointLinkOptions;
  readonly #deps: Deps;
  readonly #framing: Framing;
  readonly #backoff: Backoff;
  readonly #owed: OwedAnswers;
  readonly #foreign: ForeignFrames;
  /** Set while the line is left to others. */
  #offTimer: Timer | undefined;
  readonly #openTransport: (endpoint: ModbusEndpoint) => Transport;
  /** Reads that go out as they are, whatever their unit owes. */
  readonly #vetted = new WeakSet<PreparedRead>();
  readonly #users = new Set<LinkUser>();
  readonly #waiting: PreparedRead[] = [];
  #client: ModbusClient | undefined;
  #reconnectTimer: Timer | undefined;
  #transactionId = 0;
  #attempts = 0;
  #state: 'new' | 'running' | 'disposed' = 'new';
  #connected = false;
  /** Set while reads fail at once. */
  #down: ReadFailure | undefined;
  /** Connections in a row that ended before their first answer. */
  #fruitless = 0;
  #answeredSinceConnect = false;
  #lastTickMs: number;

  /**
   * @param owed What units still owe to an earlier link to the same endpoint.
   * @param openTransport A way to the endpoint; each connection has a new one.
   */
  constructor(
    options: EndpointLinkOptions,
    deps: Deps,
    owed = new OwedAnswers(deps.clock),
    openTransport = transportTo,
  ) {
    this.#options = options;
    this.#deps = deps;
    this.#framing = options.endpoint.framing === 'mbap' ? mbapFraming : rtuFraming;
    this.#owed = owed;
    this.#foreign = new ForeignFrames(deps.clock, deps.random);
    this.#openTransport = openTransport;
    this.#backoff = new Backoff({
      firstMs: options.reconnectFirstMs,
      maxMs: options.reconnectMaxMs,
      random: deps.random,
    });
    this.#lastTickMs = deps.clock.monotonicMs();
  }

  get users(): number {
    return this.#users.size;
  }

  /** From a timeout until the next request may go out, where the endpoint takes connections at once. */
  get recoveryMsMax(): number {
    const { endpoint, reconnectFirstMs } = this.#options;
    const reconnectMs = endpoint.medium === 'tcp' ? reconnectFirstMs : 0;
    return reconnectMs + (this.#framing.hasTransactionId ? 0 : QUIET_MS);
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    this.#connect();
  }

  join(user: LinkUser): void {
    this.#users.add(user);
    user.meters.connected(this.#connected);
  }

  /** Nothing more is said to the user; a read of theirs that is in flight goes on, for the line's sake. */
  leave(user: LinkUser): void {
    this.#users.delete(user);
    user.meters.connected(false);
    for (let index = this.#waiting.length - 1; index >= 0; index -= 1)
      if (this.#waiting[index]?.user === user) this.#waiting.splice(index, 1);
  }

  prepare(request: ReadRequest, timeoutMs: number, listener: ReadListener, user: LinkUser): PreparedRead {
    return { user, request, timeoutMs, listener, frame: this.#framing.requestFrame(request) };
  }

  submit(read: PreparedRead): void {
    if (this.#state === 'disposed' || !this.#users.has(read.user)) return;
    if (this.#down !== undefined) return read.listener.failed(this.#down);
    this.#waiting.push(read);
    this.#sendNext();
  }

  problem(): string | undefined {
    return this.#down?.message;
  }

  lastTickMs(): number {
    return this.#lastTickMs;
  }

  dispose(): void {
    this.#state = 'disposed';
    this.#reconnectTimer?.cancel();
    this.#offTimer?.cancel();
    this.#owe(this.#client?.readInFlight);
    this.#client?.destroy();
    this.#client = undefined;
    this.#waiting.length = 0;
    this.#users.clear();
  }

  #connect(): void {
    if (this.#attempts > 0) for (const { meters } of this.#users) meters.reconnect();
    this.#attempts += 1;
    this.#answeredSinceConnect = false;
    this.#lastTickMs = this.#deps.clock.monotonicMs();
    const { endpoint, connectTimeoutMs, pauseMs } = this.#options;
    this.#client = new ModbusClient(
      {
        transport: this.#openTransport(endpoint),
        framing: this.#framing,
        name: endpointName(endpoint),
        connectTimeoutMs,
        clock: this.#deps.clock,
        nextTransactionId: () => this.#nextTransactionId(),
        pauseMs: Math.max(pauseMs, silenceMs(endpoint)),
        wireMs: (request) => (endpoint.medium === 'serial' ? wireMs(endpoint, request) : 0),
        recovery: endpoint.medium === 'serial' ? 'quiet' : 'reconnect',
        quietMs: QUIET_MS,
        startsQuiet: !this.#framing.hasTransactionId,
      },
      {
        onConnected: () => this.#onConnected(),
        onReady: () => this.#sendNext(),
        onAnswer: (read, bytes, offset, durationMs) => {
          this.#onAnswered(read, durationMs);
          if (this.#users.has(read.user)) read.listener.answered(bytes, offset);
        },
        onException: (read, exceptionCode, durationMs) => {
          this.#onAnswered(read, durationMs);
          // While the unit owes answers, the refusal may be one of them, and the answer to this read is owed as well.
          if (this.#owed.owedBy(read.request.unitId)) this.#owe(read);
          if (this.#users.has(read.user)) read.listener.refused(exceptionCode);
        },
        onForeignFrame: () => this.#onForeignFrame(),
        onFault: (fault, read) => this.#onFault(fault, read),
        onEnd: (end, read) => this.#onEnd(end, read),
      },
    );
    this.#client.connect();
  }

  #sendNext(): void {
    for (let read = this.#waiting[0]; read !== undefined && this.#client?.idle === true; read = this.#waiting[0]) {
      this.#waiting.shift();
      const sent = this.#owed.owedBy(read.request.unitId) ? this.#careful(read) : read;
      if (sent === undefined) {
        this.#failUnasked(read);
        continue;
      }
      this.#lastTickMs = this.#deps.clock.monotonicMs();
      read.user.meters.request();
      this.#client.send(sent);
    }
  }

  /** The read in a length that no answer still owed to an earlier one has; where there is none, a proof comes first. */
  #careful(read: PreparedRead): PreparedRead | undefined {
    if (this.#vetted.has(read)) return read;
    const request = this.#owed.unambiguous(read.request, read.user.spareRegisters);
    if (request === undefined) return this.#proof(read);
    return this.#instead(read, request, {
      answered: (bytes, offset) => read.listener.answered(bytes, offset),
      // The refusal may be late itself, or mean only what was read beyond.
      refused: () => this.#askFirst(read, this.#proofInOtherTable(read)),
      failed: (failure) => read.listener.failed(failure),
    });
  }

  /**
   * A shorter read, which no owed answer looks like: once that is answered, a unit that answers in the order it was asked
   * owes nothing, and the read itself follows.
   */
  #proof(read: PreparedRead): PreparedRead | undefined {
    const request = this.#owed.shorter(read.request);
    if (request === undefined) return this.#proofInOtherTable(read);
    return this.#instead(read, request, {
      answered: () => this.#settled(read),
      // The refusal may be late itself.
      refused: () => this.#askFirst(read, this.#proofInOtherTable(read)),
      failed: (failure) => read.listener.failed(failure),
    });
  }

  /** As `#proof`, and a refusal is as good as any other answer. Undefined where an owed answer could be taken for every read. */
  #proofInOtherTable(read: PreparedRead): PreparedRead | undefined {
    const request = this.#owed.inOtherTable(read.request);
    if (request === undefined) return undefined;
    return this.#instead(read, request, {
      answered: () => this.#settled(read),
      refused: () => this.#settled(read),
      failed: (failure) => read.listener.failed(failure),
    });
  }

  #settled(read: PreparedRead): void {
    this.#owed.settle(read.request.unitId);
    this.#waiting.unshift(read);
  }

  #askFirst(read: PreparedRead, proof: PreparedRead | undefined): void {
    if (proof === undefined) return this.#failUnasked(read);
    this.#vetted.add(proof);
    this.#waiting.unshift(proof);
  }

  /** Each answer of the unit would be in doubt, so that it is left alone until what it owes cannot come any more. */
  #failUnasked({ request: { unitId }, listener }: PreparedRead): void {
    const name = endpointName(this.#options.endpoint);
    const message = `${name} unit ${unitId} owes late answers that could be taken for any other, and is not asked until they are out of date`;
    listener.failed({ code: 'modbus-timeout', message });
  }

  #instead(read: PreparedRead, request: ReadRequest, listener: ReadListener): PreparedRead {
    return this.prepare(request, read.timeoutMs, listener, read.user);
  }

  #onConnected(): void {
    this.#setConnected(true);
    if (this.#offTimer !== undefined) this.#setDown(this.#leftToOthers());
    else if (this.#down !== undefined) this.#setDown(undefined);
  }

  /** Reads fail at once until no such frame has come for a while. */
  #onForeignFrame(): void {
    if (this.#owed.owedByAny()) return;
    const offMs = this.#foreign.offMs(this.#offTimer !== undefined);
    if (offMs === undefined) return;
    const isNew = this.#offTimer === undefined;
    this.#offTimer?.cancel();
    this.#offTimer = this.#deps.clock.setTimer(() => this.#comeBack(), offMs);
    if (isNew) this.#setDown(this.#leftToOthers());
  }

  #comeBack(): void {
    this.#offTimer = undefined;
    if (this.#connected) this.#setDown(undefined);
  }

  #leftToOthers(): ReadFailure {
    const name = endpointName(this.#options.endpoint);
    const message = `${name} carries answers that andon did not ask for: another master asks there, or a device answers twice, and no answer can be trusted; nothing is asked until they have stopped`;
    return { code: 'modbus-link-down', message };
  }

  #onAnswered({ user }: PreparedRead, durationMs: number): void {
    user.meters.answer(durationMs);
    if (this.#answeredSinceConnect) return;
    this.#answeredSinceConnect = true;
    this.#fruitless = 0;
    this.#backoff.reset();
  }

  #onFault({ code, message }: ReadFault, read: PreparedRead | undefined): void {
    this.#lastTickMs = this.#deps.clock.monotonicMs();
    this.#count(code, read);
    if (read === undefined) return;
    this.#owe(read);
    if (this.#users.has(read.user)) read.listener.failed({ code, message });
  }

  #onEnd({ code, message }: ConnectionEnd, read: PreparedRead | undefined): void {
    this.#setConnected(false);
    this.#count(code, read);
    this.#client = undefined;
    this.#lastTickMs = this.#deps.clock.monotonicMs();
    // While the line is left to others, it is listened to.
    if (code === 'modbus-timeout' || this.#offTimer !== undefined) this.#backoff.reset();
    else if (!this.#answeredSinceConnect) this.#fruitless += 1;
    this.#reconnectTimer = this.#deps.clock.setTimer(() => this.#connect(), this.#backoff.nextMs());
    this.#owe(read);

    const down = code === 'modbus-connect-failed' || this.#fruitless >= FRUITLESS_CONNECTIONS_MAX;
    if (down) this.#setDown({ code: 'modbus-link-down', message });
    if (code === 'modbus-connect-failed' || read === undefined || !this.#users.has(read.user)) return;
    read.listener.failed({ code, message });
  }

  #owe(read: PreparedRead | undefined): void {
    if (read !== undefined && !this.#framing.hasTransactionId) this.#owed.add(read.request, read.timeoutMs);
  }

  /** An error of a read is its reader's; one of the connection is everybody's. */
  #count(code: ConnectionEnd['code'], read: PreparedRead | undefined): void {
    if (read !== undefined) return read.user.meters.error(code);
    for (const { meters } of this.#users) meters.error(code);
  }

  #setConnected(connected: boolean): void {
    this.#connected = connected;
    for (const { meters } of this.#users) meters.connected(connected);
  }

  #setDown(down: ReadFailure | undefined): void {
    this.#down = down;
    for (const { onChange } of this.#users) onChange();
    if (down === undefined) return;
    for (const read of this.#waiting.splice(0)) read.listener.failed(down);
  }

  #nextTransactionId(): number {
    this.#transactionId = (this.#transactionId + 1) % TRANSACTION_IDS;
    return this.#transactionId;
  }
}

function transportTo(endpoint: ModbusEndpoint): Transport {
  switch (endpoint.medium) {
    case 'tcp':
      return new TcpTransport(endpoint);
    case 'serial':
      return new SerialTransport(endpoint);
  }
}
