import type { OutputWriter } from '../../contracts/outputs/output.ts';
import type { OutputValue } from '../../domain/output/output-schedule.ts';
import { outputFailure } from '../output-errors.ts';
import type { ModbusOutputConfig } from './modbus-output-config.ts';
import type { WriteLink } from './write-link.ts';

/** Writes one coil or register, with function code 5, 6, 15 or 16. */
export class ModbusWriter implements OutputWriter {
  readonly #config: ModbusOutputConfig;
  readonly #link: WriteLink;
  readonly #release: () => Promise<void>;

  /** @param release Gives the link back. */
  constructor(config: ModbusOutputConfig, link: WriteLink, release: () => Promise<void>) {
    this.#config = config;
    this.#link = link;
    this.#release = release;
  }

  /** `write` connects. */
  start(): void {}

  async write(value: OutputValue): Promise<void> {
    const { coil, register, multiple } = this.#config.write;
    const [address, number] = [coil ?? register ?? 0, Number(value)];
    const answer = await this.#link.request<{ readonly address: number; readonly echo: number | undefined }>({
      ...this.#request(),
      send: async (client) => {
        if (multiple) {
          const written =
            coil === undefined
              ? await client.writeRegisters(address, [number])
              : await client.writeCoils(address, [number === 1]);
          return { address: written.address, echo: written.length === 1 ? number : undefined };
        }
        if (coil === undefined) {
          const written = await client.writeRegister(address, number);
          return { address: written.address, echo: written.value };
        }
        const written = await client.writeCoil(address, number === 1);
        return { address: written.address, echo: Number(written.state) };
      },
    });
    if (answer.address !== address || answer.echo !== number)
      throw outputFailure(
        'output-answer-invalid',
        `${number} was written to address ${address}; the answer is ${answer.echo} at address ${answer.address}`,
      );
  }

  async read(): Promise<OutputValue> {
    const { coil, register } = this.#config.write;
    return this.#link.request({
      ...this.#request(),
      send: async (client) => {
        const { data } =
          coil === undefined ? await client.readHoldingRegisters(register ?? 0, 1) : await client.readCoils(coil, 1);
        return Number(data[0]);
      },
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#release();
  }

  #request() {
    const { unitId = 1, timeoutMs, closeAfterWrite } = this.#config;
    return { unitId, timeoutMs, closes: closeAfterWrite };
  }
}
