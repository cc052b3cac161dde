import { Backoff } from '../../../platform/backoff.ts';
import type { Clock, Timer } from '../../../platform/clock.ts';
import type { Deps } from '../../../platform/deps.ts';
import type { TlsFiles } from '../../../platform/tls-files.ts';
import { silenceMs, wireMs } from '../frame/bus-time.ts';
import { UnsolicitedFrames } from './unsolicited-frames.ts';
import type { Framing } from '../frame/framing.ts';
import { framingOf, type FramingRules } from '../frame/framings.ts';
import { type ConnectionEnd, ModbusClient, type ReadFault } from './modbus-client.ts';
import type { LinkUser, PreparedRead, ReadFailure, ReadListener } from './modbus-link.ts';
import { LateResponses } from './late-responses.ts';
import { endpointName, type ModbusEndpoint } from '../../../protocols/modbus/modbus-url.ts';
import type { ReadRequest } from '../frame/read-pdu.ts';
import { type Rs485Settings, SerialTransport } from './serial-transport.ts';
import { TcpTransport } from './tcp-transport.ts';
import type { Transport } from './transport.ts';

const TRANSACTION_IDS = 65_536;
/** Connections in a row without a response after which the link is down. */
const UNANSWERED_CONNECTIONS_MAX = 2;
/** Silence after a fault on a line without transaction ids; longer than the buffering of adapters and gateways. */
const QUIET_MS = 150;

export type EndpointLinkOptions = FramingRules & {
  readonly endpoint: ModbusEndpoint;
  readonly connectTimeoutMs: number;
  readonly reconnectFirstMs: number;
  readonly reconnectMaxMs: number;
  /** Silence between a response and the next request; at least what the line itself needs. */
  readonly pauseMs: number;
  /** Silence between the connection and the first request. */
  readonly pauseAfterConnectMs: number;
  /** True if the connection is closed while no read is waiting. */
  readonly closeAfterScan: boolean;
  /** Certificates for Modbus/TCP Security. */
  readonly tls?: TlsFiles | undefined;
  /** Serial ports: RTS switches the RS-485 driver. */
  readonly rs485?: Rs485Settings | undefined;
};

/**
 * The one connection to an endpoint, shared by all its readers. It reconnects automatically: each attempt is a new
 * client, with growing waits between attempts.
 *
 * Reads wait while a lost connection is opened again. After a failed attempt, or two connections in a row without a
 * response, the link is down and reads fail immediately until it is up. The waits restart from the first value after a
 * good response and after a timeout: an absent unit has its own breaker and must not cost the others their connection.
 *
 * On a framing without transaction ids, a unit with a late response outstanding receives only requests whose response
 * cannot be confused with the late one.
 */
export class EndpointLink {
  readonly #options: EndpointLinkOptions;
  readonly #deps: Deps;
  readonly #framing: Framing;
  readonly #backoff: Backoff;
  readonly #late: LateResponses;
  readonly #foreign: UnsolicitedFrames;
  /** Set while andon sends nothing because of another master. */
  #offTimer: Timer | undefined;
  readonly #openTransport: (options: EndpointLinkOptions, clock: Clock) => Transport;
  /** Reads that are sent unchanged, even if their unit has a late response outstanding. */
  readonly #checked = new WeakSet<PreparedRead>();
  readonly #users = new Set<LinkUser>();
  /** Reads of one entry are sent together. */
  readonly #waiting: (readonly PreparedRead[])[] = [];
  #client: ModbusClient | undefined;
  #reconnectTimer: Timer | undefined;
  #transactionId = 0;
  #attempts = 0;
  #state: 'new' | 'running' | 'disposed' = 'new';
  #connected = false;
  /** True while the connection is closed because no read is waiting. */
  #parked = false;
  /** Set while reads fail at once. */
  #down: ReadFailure | undefined;
  /** Connections in a row that ended before their first response. */
  #unanswered = 0;
  #answeredSinceConnect = false;
  #lastTickMs: number;

  /**
   * @param late Late responses that units may still send for requests of an earlier link to the same endpoint.
   * @param openTransport Creates a transport to the endpoint; each connection has a new one.
   */
  constructor(
    options: EndpointLinkOptions,
    deps: Deps,
    late = new LateResponses(deps.clock),
    openTransport = transportTo,
  ) {
    this.#options = options;
    this.#deps = deps;
    this.#framing = framingOf(options.endpoint, options);
    this.#late = late;
    this.#foreign = new UnsolicitedFrames(deps.clock, deps.random);
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

  /** Time from a timeout until the next request can be sent, if the endpoint accepts connections immediately. */
  get recoveryMsMax(): number {
    const { endpoint, reconnectFirstMs } = this.#options;
    const reconnectMs = endpoint.medium === 'tcp' ? reconnectFirstMs : 0;
    return reconnectMs + this.#startQuietMs;
  }

  get #startQuietMs(): number {
    return Math.max(this.#options.pauseAfterConnectMs, this.#framing.hasTransactionId ? 0 : QUIET_MS);
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

  /** Removes a user. It gets no further calls; its read in flight continues until the line is free. */
  leave(user: LinkUser): void {
    this.#users.delete(user);
    user.meters.connected(false);
    for (let index = this.#waiting.length - 1; index >= 0; index -= 1)
      if (this.#waiting[index]?.[0]?.user === user) this.#waiting.splice(index, 1);
  }

  prepare(request: ReadRequest, timeoutMs: number, listener: ReadListener, user: LinkUser): PreparedRead {
    return { user, request, timeoutMs, listener, frame: this.#framing.requestFrame(request) };
  }

  submit(reads: readonly PreparedRead[]): void {
    const user = reads[0]?.user;
    if (this.#state === 'disposed' || user === undefined || !this.#users.has(user)) return;
    if (this.#down !== undefined) return failAll(reads, this.#down);
    const ahead =
      user.isBackground === true ? -1 : this.#waiting.findIndex(([each]) => each?.user.isBackground === true);
    this.#waiting.splice(ahead === -1 ? this.#waiting.length : ahead, 0, reads);
    if (this.#parked) this.#connect();
    else this.#sendNext();
  }

  /** Closes the connection until the next read, if the options demand it and no read is waiting. */
  scanEnded(): void {
    if (!this.#options.closeAfterScan || this.#waiting.length > 0) return;
    if (this.#client === undefined || !this.#connected || this.#client.readsInFlight.length > 0) return;
    this.#client.destroy();
    this.#client = undefined;
    this.#parked = true;
    this.#setConnected(false);
  }

  problem(): ReadFailure | undefined {
    return this.#down;
  }

  lastTickMs(): number {
    return this.#lastTickMs;
  }

  dispose(): void {
    this.#state = 'disposed';
    this.#reconnectTimer?.cancel();
    this.#offTimer?.cancel();
    this.#expectLate(this.#client?.readsInFlight ?? []);
    this.#client?.destroy();
    this.#client = undefined;
    this.#waiting.length = 0;
    this.#users.clear();
  }

  #connect(): void {
    if (this.#attempts > 0 && !this.#parked) for (const { meters } of this.#users) meters.reconnect();
    this.#parked = false;
    this.#attempts += 1;
    this.#answeredSinceConnect = false;
    this.#lastTickMs = this.#deps.clock.monotonicMs();
    const { endpoint, connectTimeoutMs, pauseMs, rs485 } = this.#options;
    this.#client = new ModbusClient(
      {
        transport: this.#openTransport(this.#options, this.#deps.clock),
        framing: this.#framing,
        name: endpointName(endpoint),
        connectTimeoutMs,
        clock: this.#deps.clock,
        nextTransactionId: () => this.#nextTransactionId(),
        pauseMs: Math.max(pauseMs, silenceMs(endpoint)),
        wireMs: (request) => (endpoint.medium === 'serial' ? wireMs(endpoint, request) + driverMs(rs485) : 0),
        recovery: endpoint.medium === 'serial' ? 'quiet' : 'reconnect',
        quietMs: QUIET_MS,
        startQuietMs: this.#startQuietMs,
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
          // The exception may be a late response; the response to this read is then outstanding too.
          if (this.#late.outstandingFor(read.request.unitId)) this.#expectLate([read]);
          if (this.#users.has(read.user)) read.listener.refused(exceptionCode);
        },
        onUnsolicitedFrame: () => this.#onUnsolicitedFrame(),
        onFault: (fault, reads) => this.#onFault(fault, reads),
        onEnd: (end, reads) => this.#onEnd(end, reads),
      },
    );
    this.#client.connect();
  }

  #sendNext(): void {
    for (let reads = this.#waiting[0]; reads !== undefined && this.#client?.idle === true; reads = this.#waiting[0]) {
      this.#waiting.shift();
      const sent = this.#framing.hasTransactionId ? reads : this.#unambiguousOf(reads);
      if (sent === undefined) continue;
      this.#lastTickMs = this.#deps.clock.monotonicMs();
      for (const { user } of sent) user.meters.request();
      this.#client.send(sent);
    }
  }

  /** Returns what to send in place of a read; undefined if it failed because there is nothing. */
  #unambiguousOf(reads: readonly PreparedRead[]): readonly PreparedRead[] | undefined {
    const [read] = reads;
    if (read === undefined || !this.#late.outstandingFor(read.request.unitId)) return reads;
    const sent = this.#unambiguous(read);
    if (sent === undefined) this.#failUnsent(read);
    return sent && [sent];
  }

  /**
   * Returns the read with a length that no late response has. If there is none, a shorter read precedes it: a unit answers
   * in the order of the requests, so after its response nothing is outstanding.
   */
  #unambiguous(read: PreparedRead): PreparedRead | undefined {
    if (this.#checked.has(read)) return read;
    const request = this.#late.unambiguous(read.request, read.user.spareRegisters);
    if (request === undefined) return this.#checkRead(read);
    return this.#instead(read, request, {
      answered: (bytes, offset) => read.listener.answered(bytes, offset),
      // The exception may be late itself, or concern only the extra registers.
      refused: () => this.#sendFirst(read, this.#checkRead(read)),
      failed: (failure) => read.listener.failed(failure),
    });
  }

  #checkRead(read: PreparedRead): PreparedRead | undefined {
    const request = this.#late.shorter(read.request);
    if (request === undefined) return undefined;
    return this.#instead(read, request, {
      answered: () => {
        this.#late.settle(read.request.unitId);
        this.#waiting.unshift([read]);
      },
      // The exception may be late itself.
      refused: () => this.#failUnsent(read),
      failed: (failure) => read.listener.failed(failure),
    });
  }

  #sendFirst(read: PreparedRead, checkRead: PreparedRead | undefined): void {
    if (checkRead === undefined) return this.#failUnsent(read);
    this.#checked.add(checkRead);
    this.#waiting.unshift([checkRead]);
  }

  /** Fails the read unsent: any response of the unit could be a late one, so it gets no request until they have expired. */
  #failUnsent({ request: { unitId }, listener }: PreparedRead): void {
    const name = endpointName(this.#options.endpoint);
    const message = `${name} unit ${unitId} has late responses outstanding that could be confused with any other response; it gets no request until they have expired. Raise timeout above the unit's response time`;
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

  /** Makes reads fail immediately until no unsolicited frame has arrived for the waiting time. */
  #onUnsolicitedFrame(): void {
    if (this.#late.outstandingForAny()) return;
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
    const message = `${name} carries responses that andon did not request: another master uses the line, or a device answers twice. No response can be trusted, so andon sends nothing until they stop. Remove the other master or give it a line of its own`;
    return { code: 'modbus-link-down', message };
  }

  #onAnswered({ user }: PreparedRead, durationMs: number): void {
    user.meters.answer(durationMs);
    if (this.#answeredSinceConnect) return;
    this.#answeredSinceConnect = true;
    this.#unanswered = 0;
    this.#backoff.reset();
  }

  #onFault({ code, message, hasArrived }: ReadFault, reads: readonly PreparedRead[]): void {
    this.#lastTickMs = this.#deps.clock.monotonicMs();
    this.#count(code, reads);
    if (!hasArrived) this.#expectLate(reads);
    this.#fail(reads, { code, message });
  }

  #onEnd({ code, message, hasArrived }: ConnectionEnd, reads: readonly PreparedRead[]): void {
    this.#setConnected(false);
    this.#count(code, reads);
    this.#client = undefined;
    this.#lastTickMs = this.#deps.clock.monotonicMs();
    // andon keeps listening while it sends nothing.
    if (code === 'modbus-timeout' || this.#offTimer !== undefined) this.#backoff.reset();
    else if (!this.#answeredSinceConnect) this.#unanswered += 1;
    this.#reconnectTimer = this.#deps.clock.setTimer(() => this.#connect(), this.#backoff.nextMs());
    if (!hasArrived) this.#expectLate(reads);

    const down = code === 'modbus-connect-failed' || this.#unanswered >= UNANSWERED_CONNECTIONS_MAX;
    if (down) this.#setDown({ code: 'modbus-link-down', message });
    if (code !== 'modbus-connect-failed') this.#fail(reads, { code, message });
  }

  #fail(reads: readonly PreparedRead[], failure: ReadFailure): void {
    for (const read of reads) if (this.#users.has(read.user)) read.listener.failed(failure);
  }

  #expectLate(reads: readonly PreparedRead[]): void {
    if (this.#framing.hasTransactionId) return;
    for (const { request, timeoutMs } of reads) this.#late.add(request, timeoutMs);
  }

  /** Counts an error of reads for their reader and an error of the connection for all users. */
  #count(code: ConnectionEnd['code'], reads: readonly PreparedRead[]): void {
    const [read] = reads;
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
    for (const reads of this.#waiting.splice(0)) failAll(reads, down);
  }

  #nextTransactionId(): number {
    this.#transactionId = (this.#transactionId + 1) % TRANSACTION_IDS;
    return this.#transactionId;
  }
}

function failAll(reads: readonly PreparedRead[], failure: ReadFailure): void {
  for (const { listener } of reads) listener.failed(failure);
}

function transportTo({ endpoint, tls, rs485 }: EndpointLinkOptions, clock: Clock): Transport {
  switch (endpoint.medium) {
    case 'tcp':
      return new TcpTransport(endpoint, tls);
    case 'serial':
      return new SerialTransport(endpoint, rs485, clock);
  }
}

function driverMs(rs485: Rs485Settings | undefined): number {
  return rs485 === undefined ? 0 : rs485.delayBeforeSendMs + rs485.delayAfterSendMs;
}
