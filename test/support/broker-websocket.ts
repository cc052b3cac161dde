import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { Aedes } from 'aedes';

/** The embedded broker behind a minimal WebSocket: binary frames, no fragments, no extensions. */
export class WebSocketBroker implements AsyncDisposable {
  /** Requested paths. */
  readonly paths: string[] = [];
  readonly #server: Server;
  readonly #aedes: Aedes;

  private constructor(aedes: Aedes, tls: ServerOptions | undefined) {
    this.#aedes = aedes;
    this.#server = tls === undefined ? createServer() : createTlsServer(tls);
    this.#server.on('upgrade', (request, socket: Socket) => {
      this.paths.push(request.url ?? '');
      const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
      const accept = createHash('sha1').update(key).digest('base64');
      const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
      const answer = [...head, `Sec-WebSocket-Accept: ${accept}`, 'Sec-WebSocket-Protocol: mqtt'];
      socket.write(`${answer.join('\r\n')}\r\n\r\n`);
      aedes.handle(framed(socket));
    });
  }

  /** @param tls Certificate and key for wss://. */
  static async listen(tls?: ServerOptions): Promise<WebSocketBroker> {
    const broker = new WebSocketBroker(await Aedes.createBroker(), tls);
    await new Promise<void>((resolve) => {
      broker.#server.listen(0, '127.0.0.1', resolve);
    });
    return broker;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#aedes.close(() => resolve());
    });
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

/** The bytes in the frames of a socket. @see RFC 6455, section 5.2. */
function framed(socket: Socket): Duplex {
  let rest = Buffer.alloc(0);
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => void socket.write(Buffer.concat([header(chunk.length), chunk]), done),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (let frame = splitFrame(rest); frame !== undefined; frame = splitFrame(rest)) {
      rest = rest.subarray(frame.bytes);
      if (frame.opcode === 2) stream.push(frame.payload);
      else stream.destroy();
    }
  });
  socket.on('error', () => stream.destroy());
  socket.on('close', () => stream.destroy());
  return stream;
}

function header(length: number): Buffer {
  if (length < 126) return Buffer.of(0x82, length);
  if (length < 65_536) return Buffer.of(0x82, 126, length >> 8, length & 0xff);
  const bytes = Buffer.alloc(10);
  bytes.set([0x82, 127]);
  bytes.writeBigUInt64BE(BigInt(length), 2);
  return bytes;
}

function splitFrame(bytes: Buffer): { opcode: number; payload: Buffer; bytes: number } | undefined {
  if (bytes.length < 2) return undefined;
  const short = (bytes[1] ?? 0) & 0x7f;
  const maskAt = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < maskAt + 4) return undefined;
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  const start = maskAt + 4;
  if (bytes.length < start + length) return undefined;
  const masked = bytes.subarray(start, start + length);
  const payload = Buffer.from(masked.map((byte, index) => byte ^ (bytes[maskAt + (index % 4)] ?? 0)));
  return { opcode: (bytes[0] ?? 0) & 0x0f, payload, bytes: start + length };
}
