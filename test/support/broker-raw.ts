import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Recorder } from './broker-recorder.ts';

/** A packet from the client: its first byte, and the bytes after the remaining length. */
export type RawPacket = { readonly first: number; readonly body: Buffer };

export const packetTypes = { connect: 1, publish: 3, puback: 4, subscribe: 8, pingreq: 12, disconnect: 14 } as const;

/**
 * A broker of raw bytes, with fault switches: it sends what no real broker sends, and can omit every response.
 * MQTT 3.1.1, and the part of 5 that its CONNACK announces.
 */
export class RawBroker implements AsyncDisposable {
  /** Response to a CONNECT; undefined sends none. */
  connack: readonly number[] | undefined = [0x20, 2, 0, 0];
  acknowledgePublishes = true;
  answerSubscribes = true;
  answerPings = true;
  /** Closes each connection immediately. */
  hangsUp = false;
  /** Called for each packet, after its usual response. */
  onPacket: (packet: RawPacket, socket: Socket) => void = () => undefined;
  readonly packets = new Recorder<RawPacket>();
  readonly sockets = new Recorder<Socket>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async listen(): Promise<RawBroker> {
    const server = createServer();
    const broker = new RawBroker(server);
    server.on('connection', (socket) => broker.#serve(socket));
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return broker;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  received(type: keyof typeof packetTypes): readonly RawPacket[] {
    return this.packets.items.filter(({ first }) => first >> 4 === packetTypes[type]);
  }

  whenReceived(type: keyof typeof packetTypes, from = 0): Promise<RawPacket> {
    return this.packets.when(({ first }) => first >> 4 === packetTypes[type], from);
  }

  /** Sends to the client that connected last. */
  send(bytes: Uint8Array | readonly number[]): void {
    const socket = this.sockets.items.at(-1);
    if (socket?.writable === true) socket.write(Uint8Array.from(bytes));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.sockets.items) socket.destroy();
    await closed;
  }

  #serve(socket: Socket): void {
    if (this.hangsUp) return void socket.destroy();
    let rest = Buffer.alloc(0);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (let packet = splitPacket(rest); packet !== undefined; packet = splitPacket(rest)) {
        rest = rest.subarray(packet.bytes);
        this.#answer(socket, packet);
        this.onPacket(packet, socket);
        this.packets.push(packet);
      }
    });
    this.sockets.push(socket);
  }

  #answer(socket: Socket, { first, body }: RawPacket): void {
    const type = first >> 4;
    if (type === packetTypes.connect && this.connack !== undefined) socket.write(Uint8Array.from(this.connack));
    if (type === packetTypes.pingreq && this.answerPings) socket.write(Uint8Array.of(0xd0, 0));
    if (type === packetTypes.subscribe && this.answerSubscribes)
      socket.write(Uint8Array.of(0x90, 3, body[0] ?? 0, body[1] ?? 0, 1));
    if (type === packetTypes.publish && (first & 0x06) !== 0 && this.acknowledgePublishes) this.acknowledge(body);
  }

  /** PUBACK for the body of a QoS 1 publish. */
  acknowledge(body: Buffer): void {
    const topicBytes = body.readUInt16BE(0);
    this.send([0x40, 2, body[topicBytes + 2] ?? 0, body[topicBytes + 3] ?? 0]);
  }
}

/** A PUBLISH with QoS 1, as a broker sends it. */
export function publishPacket(topic: string | Buffer, payload: string | Buffer, messageId = 7): Buffer {
  const name = typeof topic === 'string' ? Buffer.from(topic) : topic;
  const body = Buffer.concat([
    Buffer.of(name.length >> 8, name.length & 0xff),
    name,
    Buffer.of(messageId >> 8, messageId & 0xff),
    Buffer.from(payload),
  ]);
  return Buffer.concat([Buffer.of(0x32), remainingLength(body.length), body]);
}

/** @see MQTT 3.1.1, section 2.2.3. */
export function remainingLength(length: number): Buffer {
  const bytes: number[] = [];
  let left = length;
  do {
    const low = left % 128;
    left = Math.floor(left / 128);
    bytes.push(left > 0 ? low | 0x80 : low);
  } while (left > 0);
  return Buffer.from(bytes);
}

function splitPacket(bytes: Buffer): (RawPacket & { readonly bytes: number }) | undefined {
  let length = 0;
  for (let index = 1; index <= 4 && index < bytes.length; index += 1) {
    const byte = bytes[index] ?? 0;
    length += (byte & 0x7f) * 128 ** (index - 1);
    if (byte >= 0x80) continue;
    const end = index + 1 + length;
    return bytes.length < end ? undefined : { first: bytes[0] ?? 0, body: bytes.subarray(index + 1, end), bytes: end };
  }
  return undefined;
}
