import type { AddressInfo } from 'node:net';
import { ServerTCP } from 'modbus-serial';
import { errorMessage } from '../platform/errors.ts';
import { emptyImage, type RegisterImage } from './register-image.ts';
import { plantFailure } from './plant-errors.ts';

/** Modbus exception codes (Modbus Application Protocol 1.1b3, section 7). */
const ILLEGAL_FUNCTION = 1;
const ILLEGAL_DATA_ADDRESS = 2;

/**
 * A Modbus TCP device that shows register images, for simulations and demonstrations; read only, any unit id.
 *
 * Every request is answered from one image, so that the registers of a request always belong together.
 * modbus-serial's server starts each answer with a timer of its own: about 660 requests a second on a connection
 * with one in flight, 3,300 over eight connections (8.0.25). A demonstration needs ten; a bench needs another device.
 */
export class ModbusDevice implements AsyncDisposable {
  #server: ServerTCP | undefined;
  #image: RegisterImage = emptyImage;

  /** Sets the image for the next requests. The caller must not change it afterwards. */
  show(image: RegisterImage): void {
    this.#image = image;
  }

  /**
   * @param port 0 selects a free one.
   * @returns The port it listens on.
   * @throws {OperatingError} 'modbus-listen-failed' (retry).
   */
  async listen(host: string, port: number): Promise<number> {
    // As a number, port 0 would become 502: the library treats every falsy port as missing (8.0.25).
    const libraryPort = String(port) as unknown as number;
    const server = new ServerTCP(this.#vector(), { host, port: libraryPort });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('initialized', resolve);
      server.once('serverError', (error) => {
        const message = `Modbus device on ${host}:${port}: ${errorMessage(error)}`;
        reject(plantFailure('modbus-listen-failed', message, { cause: error }));
      });
    });
    return listeningPort(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  #vector() {
    return {
      getCoil: (address: number) => at(this.#image.coils, address) === 1,
      getDiscreteInput: (address: number) => at(this.#image.discretes, address) === 1,
      getHoldingRegister: (address: number) => at(this.#image.holding, address),
      getInputRegister: (address: number) => at(this.#image.input, address),
      getMultipleHoldingRegisters: (address: number, length: number) => range(this.#image.holding, address, length),
      getMultipleInputRegisters: (address: number, length: number) => range(this.#image.input, address, length),
      // Without these the library does not answer a write, and the client waits for its timeout.
      setCoil: () => refuse(ILLEGAL_FUNCTION),
      setRegister: () => refuse(ILLEGAL_FUNCTION),
    };
  }
}

function at(values: Uint16Array | Uint8Array, address: number): number {
  return values[address] ?? refuse(ILLEGAL_DATA_ADDRESS);
}

function range(registers: Uint16Array, address: number, length: number): number[] {
  if (address + length > registers.length) refuse(ILLEGAL_DATA_ADDRESS);
  return [...registers.subarray(address, address + length)];
}

/** Makes the library answer with an exception code. */
function refuse(modbusErrorCode: number): never {
  throw Object.assign(new Error(`Modbus exception ${modbusErrorCode}`), { modbusErrorCode });
}

/** The library hides its net.Server (8.0.25) and has no other way to report the selected port. */
function listeningPort(server: ServerTCP): number {
  const { _server } = server as unknown as { readonly _server: { address(): AddressInfo } };
  return _server.address().port;
}
