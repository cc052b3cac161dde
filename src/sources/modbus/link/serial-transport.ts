import type { SerialPort } from 'serialport';
import { errorMessage } from '../../../platform/errors.ts';
import type { SerialEndpoint } from '../frame/modbus-url.ts';
import type { Transport, TransportListener } from './transport.ts';

/** A serial port, opened exclusively. The library and its native part are loaded with the first port. */
export class SerialTransport implements Transport {
  readonly #endpoint: SerialEndpoint;
  #port: SerialPort | undefined;
  #destroyed = false;

  constructor(endpoint: SerialEndpoint) {
    this.#endpoint = endpoint;
  }

  open(listener: TransportListener): void {
    this.#open(listener).catch((error: unknown) => listener.onEnd(errorMessage(error)));
  }

  write(bytes: Buffer): void {
    // Copied because the port writes later and the frame is reused.
    this.#port?.write(Buffer.from(bytes));
  }

  discardInput(discarded: () => void): void {
    // A port that cannot be flushed reports its error with the next read or write.
    if (this.#port?.isOpen === true) this.#port.flush(() => discarded());
    else discarded();
  }

  destroy(): void {
    this.#destroyed = true;
    // An 'error' event without a listener ends the process.
    if (this.#port?.isOpen === true) this.#port.close(() => undefined);
  }

  async #open(listener: TransportListener): Promise<void> {
    const { path, baudRate, parity, stopBits, dataBits } = this.#endpoint;
    const serial = await import('serialport');
    if (this.#destroyed) return;
    const port = new serial.SerialPort({
      path,
      baudRate,
      parity,
      stopBits,
      dataBits,
      lock: true,
      autoOpen: false,
    });
    this.#port = port;
    port.on('error', (error: Error) => listener.onEnd(error.message));
    port.on('close', (error: Error | null) => listener.onEnd(error?.message ?? 'closed'));
    port.on('data', (bytes: Buffer) => listener.onBytes(bytes, bytes.length));
    port.open((error) => {
      if (error !== null) return listener.onEnd(error.message);
      if (this.#destroyed) return port.close(() => undefined);
      // Bytes that the driver buffered before the port was opened belong to no request.
      port.flush(() => listener.onOpen());
    });
  }
}
