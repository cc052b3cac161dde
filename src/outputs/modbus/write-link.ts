import { connect, type Socket } from 'node:net';
import ModbusRTU from 'modbus-serial';
import type { Clock } from '../../platform/clock.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { endpointName, type ModbusEndpoint } from '../../protocols/modbus/modbus-url.ts';
import { outputFailure } from '../output-errors.ts';

type Client = InstanceType<typeof ModbusRTU.default>;
type Connection = { readonly client: Client; readonly end: () => Promise<void> };

export type WriteRequest<T> = {
  readonly unitId: number;
  /** Longest time of the request, the connection included. */
  readonly timeoutMs: number;
  /** True: the connection is closed afterwards. */
  readonly closes: boolean;
  readonly send: (client: Client) => Promise<T>;
};

/**
 * Connection to one device for the outputs on it, apart from the one that reads. One request is in flight.
 *
 * modbus-serial neither ends a connection attempt nor settles a request of a closed connection (8.0.25). So the socket and the
 * deadline are our own, and after a failure the client is not used again.
 */
export class WriteLink {
  readonly #endpoint: ModbusEndpoint;
  readonly #clock: Clock;
  #connection: Connection | undefined;
  #last: Promise<unknown> = Promise.resolve();
  /** The last failure, which also ends the requests that waited meanwhile: a dead device costs one deadline, not one each. */
  #failure: { readonly number: number; readonly error: OperatingError | undefined } = { number: 0, error: undefined };

  constructor(endpoint: ModbusEndpoint, clock: Clock) {
    this.#endpoint = endpoint;
    this.#clock = clock;
  }

  /** @throws {OperatingError} 'output-unreachable', 'output-timeout', 'output-refused' or 'output-answer-invalid' (retry). */
  request<T>(request: WriteRequest<T>): Promise<T> {
    const before = this.#failure.number;
    const done = this.#last.then(() => {
      const { number, error } = this.#failure;
      if (number !== before && error !== undefined) throw error;
      return this.#send(request);
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    await this.#drop();
  }

  async #send<T>({ unitId, timeoutMs, closes, send }: WriteRequest<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const timer = this.#clock.setTimer(() => {
      late.reject(outputFailure('output-timeout', `${this.#name} did not answer within ${timeoutMs} ms`));
    }, timeoutMs);
    const abort = new AbortController();
    try {
      const { client } = await Promise.race([this.#connected(abort.signal), late.promise]);
      client.setID(unitId);
      client.setTimeout(timeoutMs);
      const answer = await Promise.race([send(client), late.promise]);
      if (closes) await this.#drop();
      return answer;
    } catch (error) {
      const failure = this.#failureOf(error);
      // After an exception the connection is in order.
      if (failure.code !== 'output-refused') {
        this.#failure = { number: this.#failure.number + 1, error: failure };
        abort.abort();
        await this.#drop();
      }
      throw failure;
    } finally {
      timer.cancel();
    }
  }

  async #connected(signal: AbortSignal): Promise<Connection> {
    if (this.#connection?.client.isOpen === true) return this.#connection;
    await this.#drop();
    const client = new ModbusRTU.default();
    // Errors of the connection also reach the request.
    client.on('error', () => undefined);
    const connection = await open(client, this.#endpoint, signal);
    if (signal.aborted) await connection.end();
    else this.#connection = connection;
    return connection;
  }

  async #drop(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.end();
  }

  #failureOf(error: unknown): OperatingError {
    if (error instanceof OperatingError) return error;
    const text = errorMessage(error);
    const facts: { readonly modbusCode?: unknown; readonly name?: unknown; readonly code?: unknown } =
      error instanceof Object ? error : {};
    if (typeof facts.modbusCode === 'number')
      return outputFailure('output-refused', `${this.#name} answered with exception ${facts.modbusCode}: ${text}`);
    if (facts.name === 'TransactionTimedOutError')
      return outputFailure('output-timeout', `${this.#name} did not answer`, { cause: error });
    // Errors of the operating system have a code; those of modbus-serial about frames have none.
    return typeof facts.code === 'string' || facts.name === 'PortNotOpenError'
      ? outputFailure('output-unreachable', `No connection to ${this.#name}: ${text}`, { cause: error })
      : outputFailure('output-answer-invalid', `${this.#name} gave no valid answer: ${text}`, { cause: error });
  }

  get #name(): string {
    return endpointName(this.#endpoint);
  }
}

async function open(client: Client, endpoint: ModbusEndpoint, signal: AbortSignal): Promise<Connection> {
  if (endpoint.medium === 'serial') {
    const { path, baudRate, parity, stopBits, dataBits } = endpoint;
    await client.connectRTUBuffered(path, { baudRate, parity, stopBits, dataBits });
    return { client, end: () => new Promise((resolve) => client.close(() => resolve())) };
  }
  const socket = await opened(endpoint.host, endpoint.port, signal);
  if (endpoint.framing === 'rtu') await client.linkTcpRTUBuffered(socket, {});
  else await client.linkTCP(socket, { port: endpoint.port });
  return { client, end: () => ended(socket) };
}

function opened(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    const stop = () => void socket.destroy();
    signal.addEventListener('abort', stop, { once: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      signal.removeEventListener('abort', stop);
      resolve(socket);
    });
  });
}

function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) return resolve();
    socket.once('close', () => resolve());
    socket.destroy();
  });
}
