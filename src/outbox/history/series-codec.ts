import { deflateRawSync, inflateRawSync } from 'node:zlib';

/** Samples of one tag as columns of equal length. Times in milliseconds, stored to the microsecond (until the year 2109). */
export type Columns = { readonly timesMs: Float64Array; readonly values: Float64Array };

/*
 * A chunk: byte 0 is the version, byte 1 the format of the times, bytes 4–7 the number of samples. Then follow the
 * columns as byte planes (all first bytes, then all second bytes, and so on), compressed by deflate. Neighbours differ
 * in the low planes only, so that the high planes take almost no space.
 *
 * Compared with XOR of neighbours and with zstd, at several levels: plain planes with deflate level 1 read fastest
 * (30–40 million values a second) and were within 10 % of the smallest (about 3 bytes for a noisy float).
 */
const VERSION = 1;
const HEADER_BYTES = 8;
/** The first time as a double, then differences in microseconds as unsigned 32-bit numbers. */
const TIMES_DELTA = 1;
/** Times as doubles: used if the time goes back or pauses for over an hour. */
const TIMES_WHOLE = 0;
const DELTA_MAX = 2 ** 32 - 1;

/** @param count Samples to take from the front of the columns. */
export function encodeSeries({ timesMs, values }: Columns, count: number): Uint8Array {
  const deltas = timeDeltas(timesMs, count);
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt8(VERSION, 0);
  head.writeUInt8(deltas === undefined ? TIMES_WHOLE : TIMES_DELTA, 1);
  head.writeUInt32LE(count, 4);
  const times = deltas === undefined ? planes(bytesOf(roundedTimes(timesMs, count)), 8) : planes(bytesOf(deltas), 4);
  const first = bytesOf(Float64Array.of(microseconds(timesMs[0] ?? 0)));
  const packed = Buffer.concat([first, times, planes(bytesOf(values.subarray(0, count)), 8)]);
  return Buffer.concat([head, deflateRawSync(packed, { level: 1 })]);
}

/** @throws {Error} if the bytes are not a chunk. The caller has verified the checksum. */
export function decodeSeries(chunk: Uint8Array): Columns {
  const head = Buffer.from(chunk.buffer, chunk.byteOffset, HEADER_BYTES);
  if (head.readUInt8(0) !== VERSION) throw new RangeError(`Chunk version ${head.readUInt8(0)} is unknown`);
  const delta = head.readUInt8(1) === TIMES_DELTA;
  const count = head.readUInt32LE(4);
  const packed = inflateRawSync(chunk.subarray(HEADER_BYTES));
  const timeBytes = (delta ? 4 : 8) * count;
  const first = Buffer.from(packed.buffer, packed.byteOffset, 8).readDoubleLE(0);
  const timesMs = delta
    ? timesFromDeltas(new Uint32Array(joined(packed.subarray(8, 8 + timeBytes), 4)), first)
    : new Float64Array(joined(packed.subarray(8, 8 + timeBytes), 8)).map((time) => time / 1000);
  return { timesMs, values: new Float64Array(joined(packed.subarray(8 + timeBytes), 8)) };
}

function microseconds(timeMs: number): number {
  return Math.round(timeMs * 1000);
}

function roundedTimes(timesMs: Float64Array, count: number): Float64Array {
  return timesMs.subarray(0, count).map(microseconds);
}

function timeDeltas(timesMs: Float64Array, count: number): Uint32Array | undefined {
  const deltas = new Uint32Array(count);
  let before = microseconds(timesMs[0] ?? 0);
  for (let index = 0; index < count; index += 1) {
    const time = microseconds(timesMs[index] ?? 0);
    const delta = time - before;
    if (!(delta >= 0 && delta <= DELTA_MAX)) return undefined;
    deltas[index] = delta;
    before = time;
  }
  return deltas;
}

function timesFromDeltas(deltas: Uint32Array, first: number): Float64Array {
  const times = new Float64Array(deltas.length);
  let time = first;
  for (let index = 0; index < deltas.length; index += 1) {
    time += deltas[index] ?? 0;
    times[index] = time / 1000;
  }
  return times;
}

function bytesOf(array: Float64Array | Uint32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** Groups the bytes by their position within a value. */
function planes(bytes: Uint8Array, width: number): Uint8Array {
  const count = bytes.length / width;
  const out = new Uint8Array(bytes.length);
  for (let plane = 0; plane < width; plane += 1)
    for (let index = 0, from = plane, to = plane * count; index < count; index += 1, from += width, to += 1)
      out[to] = bytes[from] ?? 0;
  return out;
}

/** Inverts `planes`, in a new buffer. */
function joined(bytes: Uint8Array, width: number): ArrayBuffer {
  const count = bytes.length / width;
  const out = new Uint8Array(bytes.length);
  for (let plane = 0; plane < width; plane += 1)
    for (let index = 0, to = plane, from = plane * count; index < count; index += 1, to += width, from += 1)
      out[to] = bytes[from] ?? 0;
  return out.buffer;
}
