import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { crc16 } from '../../src/sources/modbus/frame/rtu-frame.ts';

/** How a device misbehaves; everything is off by default and may be changed while it serves. */
export type ModbusFaults = {
  /** Accepts a connection and resets it immediately. */
  resetOnConnect: boolean;
  /** While there is a connection, further ones are closed immediately. */
  onlyOneConnection: boolean;
  /** Accepts a connection and never says a word on it. */
  silent: boolean;
  /** Units that never answer. */
  silentUnits: ReadonlySet<number>;
  /** Called for each answer; returns the bytes to send instead, in pieces; undefined leaves the answer as it is. */
  mutate: ((answer: Buffer, request: ServedRequest) => readonly Buffer[] | undefined) | undefined;
  /** Exception code for a request, 0 for none. */
  exception: ((request: ServedRequest) => number) | undefined;
  /** Milliseconds before an answer. */
  delayMs: ((request: ServedRequest) => number) | undefined;
  /** More registers than this in one request are refused with exception 3. */
  maxRegisters: number;
  /** Answers go out one byte at a time. */
  byteByByte: boolean;
  /** Of the requests that arrive together only the first is answered; the others are discarded. */
  onlyFirstOfSegment: boolean;
};

export type ServedRequest = {
  readonly transactionId: number;
  readonly unitId: number;
  readonly functionCode: number;
  readonly address: number;
  readonly count: number;
};

const HEADER_BYTES = 7;
const MBAP_REQUEST_BYTES = 12;
const RTU_REQUEST_BYTES = 8;

/**
 * A fast Modbus device on a raw socket, with fault switches, speaking Modbus TCP or the RTU frames of a serial server.
 * Holding and input registers and bits of every unit are the same memory; a test writes it directly.
 *
 * Disposal throws if it received anything other than reads, so every frame of every test is checked.
 */
export class ModbusRawServer implements AsyncDisposable {
  readonly registers = new Uint16Array(65_536);
  readonly bits = new Uint8Array(65_536);
  readonly requests: ServedRequest[] = [];
  /** Function codes of frames other than reads; -1 for a frame that cannot be decoded. Empty with andon. */
  readonly otherFunctionCodes: number[] = [];
  connections = 0;
  /** Number of connections above the limit. */
  turnedAway = 0;
  /** Most requests that arrived in one segment. */
  requestsTogether = 0;
  recordRequests = true;
  /** Answers go to the newest connection, whichever asked. */
  answersLatestConnection = false;
  faults: ModbusFaults = noFaults();
  readonly #framing: 'mbap' | 'rtu';
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(framing: 'mbap' | 'rtu') {
    this.#framing = framing;
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket));
  }

  /** @param port 0 takes a free one. */
  static async listen(port = 0, framing: 'mbap' | 'rtu' = 'mbap'): Promise<ModbusRawServer> {
    const server = new ModbusRawServer(framing);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen(port, '127.0.0.1', resolve);
    });
    return server;
  }

  get port(): number {
    // An AddressInfo while listening on TCP, which `listen` has waited for.
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#framing === 'rtu' ? 'rtu+' : ''}tcp://127.0.0.1:${this.port}`;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Ends every connection; new ones are accepted. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Sends unsolicited bytes on every connection. */
  sendUnasked(bytes: Buffer): void {
    for (const socket of this.#sockets) socket.write(bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dropConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    if (this.otherFunctionCodes.length > 0)
      throw new Error(
        `The device received frames other than reads: function codes ${this.otherFunctionCodes.join(', ')}`,
      );
  }

  #serve(socket: Socket): void {
    this.connections += 1;
    socket.on('error', () => socket.destroy());
    if (this.faults.resetOnConnect) {
      socket.resetAndDestroy();
      return;
    }
    if (!this.faults.onlyOneConnection) return this.#accept(socket);
    // The end of the connection before this one may still wait in the same turn of the event loop.
    setImmediate(() => {
      const open = [...this.#sockets].filter((other) => !other.readableEnded && !other.destroyed);
      if (open.length === 0) return this.#accept(socket);
      this.turnedAway += 1;
      socket.destroySoon();
    });
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    let received: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const bytes = this.#framing === 'rtu' ? RTU_REQUEST_BYTES : MBAP_REQUEST_BYTES;
      if (this.faults.onlyFirstOfSegment) received = received.subarray(0, bytes);
      this.requestsTogether = Math.max(this.requestsTogether, Math.floor(received.length / bytes));
      while (received.length >= bytes) {
        this.#answer(socket, received.subarray(0, bytes));
        received = received.subarray(bytes);
      }
    });
  }

  #answer(socket: Socket, bytes: Buffer): void {
    const isRtu = this.#framing === 'rtu';
    const at = isRtu ? 0 : 6;
    const request: ServedRequest = {
      transactionId: isRtu ? 0 : bytes.readUInt16BE(0),
      unitId: bytes.readUInt8(at),
      functionCode: bytes.readUInt8(at + 1),
      address: bytes.readUInt16BE(at + 2),
      count: bytes.readUInt16BE(at + 4),
    };
    if (isRtu && bytes.readUInt16LE(6) !== crc16(bytes, 6)) this.otherFunctionCodes.push(-1);
    if (this.recordRequests) this.requests.push(request);
    if (request.functionCode < 1 || request.functionCode > 4) this.otherFunctionCodes.push(request.functionCode);
    const { faults } = this;
    if (faults.silent || faults.silentUnits.has(request.unitId)) return;
    const answer = this.#frame(request);
    const pieces = faults.mutate?.(answer, request) ?? [answer];
    const delayMs = faults.delayMs?.(request) ?? 0;
    if (delayMs > 0) setTimeout(() => this.#send(socket, pieces), delayMs);
    else this.#send(socket, pieces);
  }

  #send(asker: Socket, pieces: readonly Buffer[]): void {
    const socket = this.answersLatestConnection ? ([...this.#sockets].at(-1) ?? asker) : asker;
    const parts = this.faults.byteByByte
      ? pieces.flatMap((piece) => [...piece].map((byte) => Buffer.from([byte])))
      : pieces;
    const sendFrom = (index: number): void => {
      const part = parts[index];
      if (part === undefined || socket.destroyed) return;
      // A turn of the event loop between two writes keeps them from being joined into one segment.
      socket.write(part, () => setImmediate(() => sendFrom(index + 1)));
    };
    sendFrom(0);
  }

  #frame(request: ServedRequest): Buffer {
    const exceptionCode = this.#exceptionCode(request);
    const data = exceptionCode === 0 ? this.#data(request) : Buffer.from([exceptionCode]);
    const isBlock = exceptionCode === 0;
    const frame = Buffer.alloc(HEADER_BYTES + 1 + (isBlock ? 1 : 0) + data.length);
    frame.writeUInt16BE(request.transactionId, 0);
    frame.writeUInt16BE(frame.length - 6, 4);
    frame.writeUInt8(request.unitId, 6);
    frame.writeUInt8(isBlock ? request.functionCode : request.functionCode | 0x80, 7);
    if (isBlock) frame.writeUInt8(data.length, 8);
    data.copy(frame, isBlock ? 9 : 8);
    if (this.#framing === 'mbap') return frame;
    const body = frame.subarray(HEADER_BYTES - 1);
    return withChecksum(body);
  }

  #exceptionCode(request: ServedRequest): number {
    const { functionCode, address, count } = request;
    if (functionCode < 1 || functionCode > 4) return 1;
    if (functionCode >= 3 && count > this.faults.maxRegisters) return 3;
    if (address + count > 65_536) return 2;
    return this.faults.exception?.(request) ?? 0;
  }

  #data({ functionCode, address, count }: ServedRequest): Buffer {
    if (functionCode >= 3) {
      const data = Buffer.alloc(count * 2);
      for (let index = 0; index < count; index += 1)
        data.writeUInt16BE(this.registers[address + index] ?? 0, index * 2);
      return data;
    }
    const data = Buffer.alloc(Math.ceil(count / 8));
    for (let index = 0; index < count; index += 1)
      if (this.bits[address + index] === 1) data[index >>> 3] = (data[index >>> 3] ?? 0) | (1 << (index & 7));
    return data;
  }
}

/** An RTU frame of a unit id and a PDU. */
export function withChecksum(body: Buffer): Buffer {
  const frame = Buffer.alloc(body.length + 2);
  body.copy(frame);
  frame.writeUInt16LE(crc16(body, body.length), body.length);
  return frame;
}

export function noFaults(): ModbusFaults {
  return {
    resetOnConnect: false,
    onlyOneConnection: false,
    silent: false,
    silentUnits: new Set(),
    mutate: undefined,
    exception: undefined,
    delayMs: undefined,
    maxRegisters: 125,
    byteByByte: false,
    onlyFirstOfSegment: false,
  };
}

/** True if the request touches the register or bit. */
export function touches(request: ServedRequest, address: number): boolean {
  return request.address <= address && address < request.address + request.count;
}
