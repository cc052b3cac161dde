import type { RegisterBlock, RegisterReading } from '../../contracts/source.ts';
import type { Deps } from '../../platform/deps.ts';
import { OperatingError } from '../../platform/errors.ts';
import { Metrics } from '../../platform/metrics.ts';
import { readFunctionCodes, type ReadRequest, readsBits } from './frame/read-pdu.ts';
import type { EndpointLinkOptions } from './link/endpoint-link.ts';
import { LinkPool } from './link/link-pool.ts';
import { modbusFailure } from './link/modbus-errors.ts';
import { ModbusMeters } from './link/modbus-metrics.ts';
import type { ModbusSourceConfig } from './plan/modbus-config.ts';
import { readings } from './probe/probe-readings.ts';
import { refusal, valuesOf } from './probe/read-values.ts';

/**
 * Reads registers for a person who looks for tags: one read at a time, over the link of the scans and after those that wait. It
 * reads the unit of the source only: another unit may be silent, and each timeout would close the connection of the scans.
 */
export class RegisterBrowser implements AsyncDisposable {
  readonly #options: EndpointLinkOptions;
  readonly #config: ModbusSourceConfig;
  readonly #deps: Deps;
  #isReading = false;
  #reading: Promise<unknown> = Promise.resolve();
  /** Ends the read under way. */
  readonly #ending = new AbortController();

  constructor(options: EndpointLinkOptions, config: ModbusSourceConfig, deps: Deps) {
    this.#options = options;
    this.#config = config;
    this.#deps = deps;
  }

  /** @throws {OperatingError} See `Source.readRegisters`. */
  async read({ register, address, count }: RegisterBlock): Promise<readonly RegisterReading[]> {
    if (this.#isReading)
      throw modbusFailure('modbus-browser-busy', 'Another read of registers is under way; try again later');
    this.#isReading = true;
    const functionCode = readFunctionCodes[register];
    try {
      const answer = this.#values({ unitId: this.#config.unitId, functionCode, address, count });
      this.#reading = answer.catch(() => undefined);
      const values = await answer;
      if (readsBits(functionCode))
        return values.map((raw, index) => ({ address: address + index, raw, interpretations: [] }));
      return readings(values, address).map(({ uint16, ...reading }) => ({ ...reading, raw: uint16 }));
    } finally {
      this.#isReading = false;
    }
  }

  /** Ends the read under way, and its share in the link. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#reading;
  }

  async #values(request: ReadRequest): Promise<readonly number[]> {
    // The reads of a person are not in the metrics of the source.
    const meters = new ModbusMeters(new Metrics(), 'browser');
    const user = { meters, onChange: () => undefined, spareRegisters: 0, isBackground: true };
    await using link = LinkPool.of(this.#deps).share(this.#options, user);
    const { promise, resolve, reject } = Promise.withResolvers<readonly number[]>();
    // A share that stays would keep the link, with its old settings, for the next source.
    this.#ending.signal.addEventListener('abort', () => reject(stopping()), { once: true });
    if (this.#ending.signal.aborted) throw stopping();
    const read = link.prepare(request, this.#config.timeoutMs, {
      answered: (bytes, offset) => resolve(valuesOf(request, bytes, offset)),
      refused: (exceptionCode) => reject(refusal(request, exceptionCode)),
      failed: ({ code, message }) =>
        reject(new OperatingError(code === 'modbus-link-down' ? 'modbus-connect-failed' : code, 'retry', message)),
    });
    link.submit([read]);
    return await promise;
  }
}

function stopping(): OperatingError {
  return modbusFailure('modbus-browser-busy', 'The source is stopping; try again later');
}
