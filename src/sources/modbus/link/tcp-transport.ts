import { connect, type Socket } from 'node:net';
import { errorCode, errorMessage } from '../../../platform/errors.ts';
import { FRAME_BYTES_MAX } from '../frame/framing.ts';
import type { TcpEndpoint } from '../frame/modbus-url.ts';
import type { Transport, TransportListener } from './transport.ts';

/** Read size; larger than a frame, so that an extra byte is seen together with its frame. */
const CHUNK_BYTES = 2 * FRAME_BYTES_MAX;
/** Detects a dead peer while no request is in flight. */
const KEEP_ALIVE_MS = 15_000;

export class TcpTransport implements Transport {
  readonly #endpoint: TcpEndpoint;
  /** Shared read buffer, so that a response needs no allocation. */
  readonly #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  #socket: Socket | undefined;

  constructor(endpoint: TcpEndpoint) {
    this.#endpoint = endpoint;
  }

  open(listener: TransportListener): void {
    const socket = connect({
      host: this.#endpoint.host,
      port: this.#endpoint.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      onread: { buffer: this.#chunk, callback: (length) => listener.onBytes(this.#chunk, length) },
    });
    this.#socket = socket;
    socket.once('connect', listener.onOpen);
    socket.on('error', (error) => listener.onEnd(`${errorMessage(error)} (${errorCode(error)})`));
    socket.once('end', () => listener.onEnd('closed by the device'));
    socket.once('close', () => listener.onEnd('closed'));
  }

  write(bytes: Buffer): void {
    this.#socket?.write(bytes);
  }

  discardInput(discarded: () => void): void {
    discarded();
  }

  destroy(): void {
    this.#socket?.destroy();
  }
}
