import ModbusRTU from 'modbus-serial';
import { errorMessage, OperatingError } from '../../../platform/errors.ts';
import type { ModbusEndpoint } from '../../../protocols/modbus/modbus-url.ts';
import { refusalKind, type RegisterKind } from '../frame/read-pdu.ts';
import type { AddressRange, ScanAnswer, ScanReader } from './modbus-scan.ts';

const SERVER_DEVICE_FAILURE = 4;

/** Connection for `andon scan`: one request at a time, without retries. Its requests are reads and function 43/14 only. */
export class ScanConnection implements ScanReader, AsyncDisposable {
  readonly #client = new ModbusRTU.default();

  private constructor() {}

  /** @throws {OperatingError} 'modbus-connect-failed' (retry). */
  static async open(endpoint: ModbusEndpoint, timeoutMs: number): Promise<ScanConnection> {
    const connection = new ScanConnection();
    const client = connection.#client;
    // Errors of the connection also reach the request.
    client.on('error', () => undefined);
    try {
      if (endpoint.medium === 'serial') {
        const { path, baudRate, parity, stopBits, dataBits } = endpoint;
        await client.connectRTUBuffered(path, { baudRate, parity, stopBits, dataBits });
      } else if (endpoint.framing === 'rtu') await client.connectTcpRTUBuffered(endpoint.host, { port: endpoint.port });
      else await client.connectTCP(endpoint.host, { port: endpoint.port });
    } catch (error) {
      throw new OperatingError('modbus-connect-failed', 'retry', errorMessage(error), { cause: error });
    }
    client.setTimeout(timeoutMs);
    return connection;
  }

  async read(unit: number, kind: RegisterKind, { first, last }: AddressRange): Promise<ScanAnswer> {
    const count = last - first + 1;
    this.#client.setID(unit);
    try {
      switch (kind) {
        case 'holding':
          await this.#client.readHoldingRegisters(first, count);
          break;
        case 'input':
          await this.#client.readInputRegisters(first, count);
          break;
        case 'coil':
          await this.#client.readCoils(first, count);
          break;
        case 'discrete':
          await this.#client.readDiscreteInputs(first, count);
      }
      return 'read';
    } catch (error) {
      return answerOf(error);
    }
  }

  async identify(unit: number): Promise<readonly string[]> {
    this.#client.setID(unit);
    try {
      const { data } = await this.#client.readDeviceIdentification(1, 0);
      return Object.values(data).map(String);
    } catch {
      // Many devices do not support function 43.
      return [];
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#client.close(() => resolve()));
  }
}

/** @throws {OperatingError} 'modbus-connection-lost' (retry) if the connection itself failed. */
function answerOf(error: unknown): ScanAnswer {
  const exceptionCode =
    error instanceof Object && 'modbusCode' in error && typeof error.modbusCode === 'number'
      ? error.modbusCode
      : undefined;
  if (exceptionCode !== undefined) {
    const kind = refusalKind(exceptionCode);
    if (kind === 'unit-away') return 'silent';
    if (exceptionCode === SERVER_DEVICE_FAILURE) return 'failed';
    return kind === 'function' ? 'unsupported' : 'refused';
  }
  if (error instanceof Object && 'name' in error && error.name === 'TransactionTimedOutError') return 'silent';
  throw new OperatingError('modbus-connection-lost', 'retry', errorMessage(error), { cause: error });
}
