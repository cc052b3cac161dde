import { Backoff } from '../../platform/backoff.ts';
import type { Timer } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { requestFrame } from './mbap-frame.ts';
import type { ModbusLink, PreparedRead, ReadFailure, ReadListener } from './modbus-link.ts';
import type { ModbusMeters } from './modbus-metrics.ts';
import type { ConnectionEnd } from './modbus-tcp-client.ts';
import { ModbusTcpClient } from './modbus-tcp-client.ts';
import type { TcpEndpoint } from './modbus-url.ts';
import type { ReadRequest } from './read-pdu.ts';

const TRANSACTION_IDS = 65_536;
/** Connections in a row without one answer after which the link is down: the first may be bad luck. */
const FRUITLESS_CONNECTIONS_MAX = 2;

export type TcpLinkOptions = {
  readonly endpoint: TcpEndpoint;
  readonly connectTimeoutMs: number;
  readonly reconnectFirstMs: number;
  readonly reconnectMaxMs: number;
  readonly meters: ModbusMeters;
  /** `problem()` may have changed. */
  readonly onChange: () => void;
};

/**
 * A Modbus TCP connection that comes back: each attempt is a new client, with growing waits between attempts.
 *
 * A lost connection is made anew while reads wait; once an attempt has failed, or two connections in a row
 * were good for nothing, the link is down, and reads fail at once until it is up. The waits start over with the first good answer, and after a
 * timeout: a unit that is away is paced by its own breaker and must not cost the others their connection.
 */
export class ModbusTcpLink implements ModbusLink {
  readonly #options: TcpLinkOptions;
  readonly #deps: Deps;
  readonly #backoff: Backoff;
  readonly #waiting: PreparedRead[] = [];
  #client: ModbusTcpClient | undefined;
  #reconnectTimer: Timer | undefined;
  #transactionId = 0;
  #attempts = 0;
  #state: 'new' | 'running' | 'disposed' = 'new';
  /** Set while reads fail at once. */
  #down: ReadFailure | undefined;
  /** Connections in a row that ended before their first answer. */
  #fruitless = 0;
  #answeredSinceConnect = false;
  #lastTickMs: number;

  constructor(options: TcpLinkOptions, deps: Deps) {
    this.#options = options;
    this.#deps = deps;
    this.#backoff = new Backoff({
      firstMs: options.reconnectFirstMs,
      maxMs: options.reconnectMaxMs,
      random: deps.random,
    });
    this.#lastTickMs = deps.clock.monotonicMs();
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    this.#connect();
  }

  prepare(request: ReadRequest, timeoutMs: number, listener: ReadListener): PreparedRead {
    return { request, timeoutMs, listener, frame: requestFrame(request) };
  }

  submit(read: PreparedRead): void {
    if (this.#state === 'disposed') return;
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

  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = 'disposed';
    this.#reconnectTimer?.cancel();
    this.#client?.destroy();
    this.#client = undefined;
    this.#waiting.length = 0;
    this.#options.meters.connected(false);
  }

  #connect(): void {
    if (this.#attempts > 0) this.#options.meters.reconnect();
    this.#attempts += 1;
    this.#answeredSinceConnect = false;
    this.#lastTickMs = this.#deps.clock.monotonicMs();
    const { endpoint, connectTimeoutMs } = this.#options;
    this.#client = new ModbusTcpClient(
      { ...endpoint, connectTimeoutMs, clock: this.#deps.clock, nextTransactionId: () => this.#nextTransactionId() },
      {
        onConnected: () => this.#onConnected(),
        onAnswer: (read, bytes, offset, durationMs) => {
          this.#onAnswered(durationMs);
          read.listener.answered(bytes, offset);
          this.#sendNext();
        },
        onException: (read, exceptionCode, durationMs) => {
          this.#onAnswered(durationMs);
          read.listener.refused(exceptionCode);
          this.#sendNext();
        },
        onEnd: (end, read) => this.#onEnd(end, read),
      },
    );
    this.#client.connect();
  }

  #sendNext(): void {
    if (this.#client?.idle !== true) return;
    const read = this.#waiting.shift();
    if (read === undefined) return;
    this.#lastTickMs = this.#deps.clock.monotonicMs();
    this.#options.meters.request();
    this.#client.send(read);
  }

  #onConnected(): void {
    this.#options.meters.connected(true);
    if (this.#down === undefined) this.#sendNext();
    else this.#setDown(undefined);
  }

  #onAnswered(durationMs: number): void {
    this.#options.meters.answer(durationMs);
    if (this.#answeredSinceConnect) return;
    this.#answeredSinceConnect = true;
    this.#fruitless = 0;
    this.#backoff.reset();
  }

  #onEnd(end: ConnectionEnd, read: PreparedRead | undefined): void {
    const { meters } = this.#options;
    meters.connected(false);
    meters.error(end.code);
    this.#client = undefined;
    this.#lastTickMs = this.#deps.clock.monotonicMs();
    if (end.code === 'modbus-timeout') this.#backoff.reset();
    else if (!this.#answeredSinceConnect) this.#fruitless += 1;
    this.#reconnectTimer = this.#deps.clock.setTimer(() => this.#connect(), this.#backoff.nextMs());

    const down = end.code === 'modbus-connect-failed' || this.#fruitless >= FRUITLESS_CONNECTIONS_MAX;
    if (down) this.#setDown({ code: 'modbus-link-down', message: end.message });
    if (end.code !== 'modbus-connect-failed') read?.listener.failed({ code: end.code, message: end.message });
  }

  #setDown(down: ReadFailure | undefined): void {
    this.#down = down;
    this.#options.onChange();
    if (down === undefined) return;
    for (const read of this.#waiting.splice(0)) read.listener.failed(down);
  }

  #nextTransactionId(): number {
    this.#transactionId = (this.#transactionId + 1) % TRANSACTION_IDS;
    return this.#transactionId;
  }
}
