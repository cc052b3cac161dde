import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export type DeviceWrite = { readonly functionCode: number; readonly address: number; readonly value: number };

export type DeviceFaults = {
  /** Reads requests and never answers. */
  silent: boolean;
  /** Exception code of each answer; 0 for none. */
  exception: number;
  /** Answers a write with another address. */
  wrongEcho: boolean;
  /** Accepts a write and keeps the old value. */
  ignoresWrites: boolean;
};

/** A Modbus TCP device with coils and registers that may be written, one item a request, with fault switches. */
export class WritableDevice implements AsyncDisposable {
  readonly writes: DeviceWrite[] = [];
  readonly coils = new Uint8Array(256);
  readonly registers = new Uint16Array(256);
  readonly faults: DeviceFaults = { silent: false, exception: 0, wrongEcho: false, ignoresWrites: false };
  connections = 0;
  /** Most requests that were not answered at a time. */
  inFlightMax = 0;
  readonly #server: Server = createServer((socket) => this.#serve(socket));
  readonly #sockets = new Set<Socket>();
  readonly #listeners = new Set<() => void>();

  static async listen(port = 0): Promise<WritableDevice> {
    const device = new WritableDevice();
    await new Promise<void>((resolve) => device.#server.listen(port, '127.0.0.1', resolve));
    return device;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.port}`;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Resolves when a condition holds; it is tested after each request. */
  until(fits: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!fits()) return;
        this.#listeners.delete(look);
        resolve();
      };
      this.#listeners.add(look);
      look();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    this.connections += 1;
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (data) => {
      let count = 0;
      for (let at = 0; at < data.length; at += 6 + data.readUInt16BE(at + 4)) {
        count += 1;
        const frame = data.subarray(at, at + 6 + data.readUInt16BE(at + 4));
        const answer = this.#answer(frame);
        if (answer !== undefined) socket.write(answer);
      }
      this.inFlightMax = Math.max(this.inFlightMax, count);
      for (const listener of this.#listeners) listener();
    });
  }

  #answer(frame: Buffer): Buffer | undefined {
    const { silent, exception, wrongEcho } = this.faults;
    const [functionCode, address] = [frame.readUInt8(7), frame.readUInt16BE(8)];
    if (silent) return undefined;
    if (exception > 0) return reply(frame, Buffer.of(functionCode | 0x80, exception));
    if (functionCode === 1) return reply(frame, Buffer.of(1, 1, this.coils[address] ?? 0));
    if (functionCode === 3) {
      const value = this.registers[address] ?? 0;
      return reply(frame, Buffer.of(3, 2, value >> 8, value & 0xff));
    }
    this.#write(functionCode, address, frame);
    const pdu = Buffer.from(frame.subarray(7, 12));
    if (wrongEcho) pdu.writeUInt16BE(address + 1, 1);
    return reply(frame, pdu);
  }

  #write(functionCode: number, address: number, frame: Buffer): void {
    const isCoil = functionCode === 5 || functionCode === 15;
    const value =
      functionCode === 5
        ? Number(frame.readUInt16BE(10) === 0xff00)
        : functionCode === 6
          ? frame.readUInt16BE(10)
          : functionCode === 15
            ? frame.readUInt8(13) & 1
            : frame.readUInt16BE(13);
    this.writes.push({ functionCode, address, value });
    if (!this.faults.ignoresWrites) (isCoil ? this.coils : this.registers)[address] = value;
  }
}

function reply(request: Buffer, pdu: Buffer): Buffer {
  const head = Buffer.from(request.subarray(0, 7));
  head.writeUInt16BE(pdu.length + 1, 4);
  return Buffer.concat([head, pdu]);
}
