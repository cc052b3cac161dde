import type { SerialPort } from 'serialport';
import type { Clock, Timer } from '../../../platform/clock.ts';
import { errorMessage } from '../../../platform/errors.ts';
import type { SerialEndpoint } from '../../../protocols/modbus/modbus-url.ts';
import type { Transport, TransportListener } from './transport.ts';

/** RTS switches the driver of an RS-485 line. */
export type Rs485Settings = {
  /** Level of RTS while bytes are sent. */
  readonly rts: 'high' | 'low';
  readonly delayBeforeSendMs: number;
  readonly delayAfterSendMs: number;
};

type SerialLibrary = { readonly SerialPort: typeof SerialPort };

/** A serial port, opened exclusively. The library and its native part are loaded with the first port. */
export class SerialTransport implements Transport {
  readonly #endpoint: SerialEndpoint;
  readonly #rs485: Rs485Settings | undefined;
  readonly #clock: Clock;
  readonly #load: () => Promise<SerialLibrary>;
  #port: SerialPort | undefined;
  #timer: Timer | undefined;
  #destroyed = false;

  /** @param load Loads the library. */
  constructor(
    endpoint: SerialEndpoint,
    rs485: Rs485Settings | undefined,
    clock: Clock,
    load: () => Promise<SerialLibrary> = () => import('serialport'),
  ) {
    this.#endpoint = endpoint;
    this.#rs485 = rs485;
    this.#clock = clock;
    this.#load = load;
  }

  open(listener: TransportListener): void {
    this.#open(listener).catch((error: unknown) => listener.onEnd(errorMessage(error)));
  }

  write(bytes: Buffer): void {
    // Copied because the port writes later and the frame is reused.
    const copy = Buffer.from(bytes);
    if (this.#rs485 === undefined) return this.#writeNow(copy);
    const { rts, delayBeforeSendMs, delayAfterSendMs } = this.#rs485;
    this.#setRts(rts === 'high', () =>
      this.#after(delayBeforeSendMs, () => {
        this.#writeNow(copy);
        this.#port?.drain(() => this.#after(delayAfterSendMs, () => this.#setRts(rts !== 'high', () => undefined)));
      }),
    );
  }

  #writeNow(bytes: Buffer): void {
    this.#port?.write(bytes);
  }

  /** An error ends the transport: without RTS the driver is in the wrong direction. */
  #setRts(rts: boolean, done: () => void): void {
    const port = this.#port;
    if (port?.isOpen !== true) return;
    port.set({ rts }, (error) => {
      if (error === null || error === undefined) done();
      else port.emit('error', error);
    });
  }

  #after(delayMs: number, callback: () => void): void {
    if (delayMs === 0) return callback();
    this.#timer = this.#clock.setTimer(callback, delayMs);
  }

  discardInput(discarded: () => void): void {
    // A port that cannot be flushed reports its error with the next read or write.
    if (this.#port?.isOpen === true) this.#port.flush(() => discarded());
    else discarded();
  }

  destroy(): void {
    this.#destroyed = true;
    this.#timer?.cancel();
    // An 'error' event without a listener ends the process.
    if (this.#port?.isOpen === true) this.#port.close(() => undefined);
  }

  async #open(listener: TransportListener): Promise<void> {
    const { path, baudRate, parity, stopBits, dataBits } = this.#endpoint;
    const serial = await this.#load();
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
      const flush = () => port.flush(() => listener.onOpen());
      // Bytes that the driver buffered before the port was opened belong to no request.
      if (this.#rs485 === undefined) flush();
      else this.#setRts(this.#rs485.rts !== 'high', flush);
    });
  }
}
