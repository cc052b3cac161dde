import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { errorCode, errorMessage } from '../../../platform/errors.ts';
import { FRAME_BYTES_MAX } from '../frame/framing.ts';
import type { TcpEndpoint } from '../frame/modbus-url.ts';
import type { Transport, TransportListener } from './transport.ts';

/** Bytes taken from the socket at once; more than a frame, so that a byte too many is seen with its frame. */
const CHUNK_BYTES = 2 * FRAME_BYTES_MAX;
/** Finds a peer that vanished without a word while nothing is asked of it. */
const KEEP_ALIVE_MS = 15_000;

export class TcpTransport implements Transport {
  readonly #endpoint: TcpEndpoint;
  /** What the socket reads into, so that an answer costs no buffer of its own. */
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
