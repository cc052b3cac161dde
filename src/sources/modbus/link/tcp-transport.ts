import { connect, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { errorCode, errorMessage } from '../../../platform/errors.ts';
import { readTlsFiles, type TlsFiles } from '../../../platform/tls-files.ts';
import { FRAME_BYTES_MAX } from '../frame/framing.ts';
import type { TcpEndpoint } from '../../../protocols/modbus/modbus-url.ts';
import type { Transport, TransportListener } from './transport.ts';

/** Read size; larger than a frame, so that an extra byte is seen together with its frame. */
const CHUNK_BYTES = 8 * FRAME_BYTES_MAX;
/** Detects a dead peer while no request is in flight. */
const KEEP_ALIVE_MS = 15_000;

export class TcpTransport implements Transport {
  readonly #endpoint: TcpEndpoint;
  readonly #tls: TlsFiles | undefined;
  #socket: Socket | undefined;

  /** @param tls Certificates for an endpoint with TLS. */
  constructor(endpoint: TcpEndpoint, tls: TlsFiles | undefined) {
    this.#endpoint = endpoint;
    this.#tls = tls;
  }

  open(listener: TransportListener): void {
    const { host, port, tls } = this.#endpoint;
    const options = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
    try {
      this.#socket = tls ? this.#openTls(options, listener) : this.#openPlain(options, listener);
    } catch (error) {
      // Node parses certificates before it connects, and throws if they cannot be used.
      return listener.onEnd(errorMessage(error));
    }
    this.#socket.once(tls ? 'secureConnect' : 'connect', listener.onOpen);
    this.#socket.on('error', (error) => listener.onEnd(`${errorMessage(error)} (${errorCode(error)})`));
    this.#socket.once('end', () => listener.onEnd('closed by the device'));
    this.#socket.once('close', () => listener.onEnd('closed'));
  }

  #openPlain(options: TcpNetConnectOpts, listener: TransportListener): Socket {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    // Shared read buffer, so that a response needs no allocation.
    return connect({ ...options, onread: { buffer: chunk, callback: (length) => listener.onBytes(chunk, length) } });
  }

  #openTls(options: TcpNetConnectOpts, listener: TransportListener): Socket {
    // A server name must be a name.
    const servername = isIP(options.host ?? '') === 0 ? { servername: options.host } : {};
    const files = readTlsFiles(this.#tls ?? {});
    const socket = connectTls({ ...options, ...servername, minVersion: 'TLSv1.2', ...files });
    return socket.on('data', (chunk: Buffer) => listener.onBytes(chunk, chunk.length));
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
