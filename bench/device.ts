import { type AddressInfo, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { servePeer } from './peer.ts';
import { FLOATS_PER_READ, machineMs, READS, REGISTERS_PER_READ } from './workload.ts';

/*
 * The devices of the bench: Modbus TCP on raw sockets, a port for each device. The only work for a response is the copy of a
 * template. The server of modbus-serial needs 1.2 ms for each request, so the bench would measure the server.
 *
 * In the loads, each read of the first registers of a device begins a new state of the plant: the first float is a counter, which the
 * model copies into its score, and every other value differs from the state before.
 */

const REQUEST_BYTES = 12;
const HEADER_BYTES = 9;
const ANSWER_BYTES = HEADER_BYTES + REGISTERS_PER_READ * 2;
const ADDRESSES = 65_536;
/** Number of different states of a value. */
const VARIANTS = 4;

/** Time at which each state was first sent, as columns. */
export type Changes = {
  readonly units: Int32Array;
  readonly counters: Float64Array;
  readonly timesMs: Float64Array;
};

export type DeviceProtocol = {
  /** Returns the port of each device. */
  readonly listen: { readonly params: { readonly devices: number }; readonly result: readonly number[] };
  /** Returns the states since the last call. */
  readonly takeChanges: { readonly params: undefined; readonly result: Changes };
};

const templates = Array.from({ length: VARIANTS }, (_, variant) =>
  Array.from({ length: READS }, (__, read) => template(read, variant)),
);
const image = Buffer.alloc(ADDRESSES * 2);
for (let address = 0; address < ADDRESSES; address += 1) image.writeUInt16BE(address, address * 2);
const counters = new Map<number, number>();
let units: number[] = [];
let values: number[] = [];
let timesMs: number[] = [];

servePeer<DeviceProtocol>({
  listen: ({ devices }) => Promise.all(Array.from({ length: devices }, listen)),
  takeChanges: () => {
    const changes = {
      units: Int32Array.from(units),
      counters: Float64Array.from(values),
      timesMs: Float64Array.from(timesMs),
    };
    units = [];
    values = [];
    timesMs = [];
    return changes;
  },
});

async function listen(): Promise<number> {
  const server = createServer({ noDelay: true }, serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function serve(socket: Socket): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let offset = 0;
    for (; offset + REQUEST_BYTES <= rest.length; offset += REQUEST_BYTES) answer(socket, rest, offset);
    rest = rest.subarray(offset);
  });
}

function answer(socket: Socket, request: Buffer, offset: number): void {
  const unitId = request[offset + 6] ?? 0;
  const read = request.readUInt16BE(offset + 8) / REGISTERS_PER_READ;
  const counter = (counters.get(unitId) ?? 0) + (read === 0 ? 1 : 0);
  const count = request.readUInt16BE(offset + 10);
  const found = count === REGISTERS_PER_READ ? templates[counter % VARIANTS]?.[read] : undefined;
  const frame = found === undefined ? imageFrame(request.readUInt16BE(offset + 8), count) : Buffer.from(found);
  frame[0] = request[offset] ?? 0;
  frame[1] = request[offset + 1] ?? 0;
  frame[6] = unitId;
  if (found !== undefined && read === 0) {
    counters.set(unitId, counter);
    frame.writeFloatBE(counter, HEADER_BYTES);
    units.push(unitId);
    values.push(counter);
    timesMs.push(machineMs());
  }
  socket.write(frame);
}

/** Any other read: each register holds its own address. */
function imageFrame(address: number, count: number): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + count * 2);
  frame.writeUInt16BE(frame.length - 6, 4);
  frame[7] = 3;
  frame[8] = count * 2;
  image.copy(frame, HEADER_BYTES, address * 2, (address + count) * 2);
  return frame;
}

function template(read: number, variant: number): Buffer {
  const frame = Buffer.alloc(ANSWER_BYTES);
  frame.writeUInt16BE(ANSWER_BYTES - 6, 4);
  frame[7] = 3;
  frame[8] = REGISTERS_PER_READ * 2;
  for (let index = 0; index < FLOATS_PER_READ; index += 1)
    frame.writeFloatBE(20 + read + index / 7 + variant / 4, HEADER_BYTES + index * 4);
  frame.writeUInt16BE(1000 + variant, ANSWER_BYTES - 2);
  return frame;
}
