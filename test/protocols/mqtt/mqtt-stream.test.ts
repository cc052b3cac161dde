import { Duplex } from 'node:stream';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { MqttStream } from '../../../src/protocols/mqtt/mqtt-stream.ts';
import { publishPacket } from '../../support/broker-raw.ts';

/** A transport that records what is written to it, and receives what a test pushes. */
class RecordingTransport extends Duplex {
  readonly written: Buffer[] = [];
  isBlocked = false;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.written.push(chunk);
    if (!this.isBlocked) callback();
  }

  /** One system call, as on a socket. */
  override _writev(chunks: readonly { readonly chunk: Buffer }[], callback: () => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'buffer', callback);
  }

  get bytes(): readonly number[] {
    return Array.from(Buffer.concat(this.written));
  }
}

const puback = (id: number) => Buffer.of(0x40, 2, 0, id);
const pingreq = Buffer.of(0xc0, 0);
const turn = () => new Promise((resolve) => setImmediate(resolve));

function streamOn(transport: Duplex): MqttStream {
  const stream = new MqttStream(transport, 1000);
  stream.on('error', () => undefined);
  return stream;
}

test('a PUBACK waits for its release, and the other packets pass it', async () => {
  const transport = new RecordingTransport();
  const stream = streamOn(transport);
  stream.write(puback(1));
  stream.write(pingreq);
  stream.write(puback(2));
  await turn();
  expect(transport.bytes).toEqual([...pingreq]);
  stream.releaseAcks(1);
  expect(transport.bytes).toEqual([...pingreq, ...puback(1)]);
  stream.releaseAcks(1);
  expect(transport.bytes).toEqual([...pingreq, ...puback(1), ...puback(2)]);
});

test('a release counts for PUBACKs that are not written yet', async () => {
  const transport = new RecordingTransport();
  const stream = streamOn(transport);
  stream.releaseAcks(2);
  for (const id of [1, 2, 3]) stream.write(puback(id));
  await turn();
  expect(transport.bytes).toEqual([...puback(1), ...puback(2)]);
});

test('a packet may be written in parts of any size', async () => {
  const transport = new RecordingTransport();
  const stream = streamOn(transport);
  const publish = publishPacket('a', 'x'.repeat(300));
  for (const byte of [...puback(1), ...publish, ...puback(2)]) {
    stream.write(Buffer.of(byte));
    await turn();
  }
  expect(transport.bytes).toEqual([...publish]);
  stream.releaseAcks(2);
  expect(transport.bytes).toEqual([...publish, ...puback(1), ...puback(2)]);
});

test('any packets in chunks of any sizes arrive unchanged, without the PUBACKs, which follow in order', async () => {
  const packet = fc.oneof(
    fc.nat({ max: 255 }).map((id) => puback(id)),
    fc.constant(pingreq),
    fc.nat({ max: 20_000 }).map((length) => publishPacket('t', 'x'.repeat(length))),
  );
  const sizes = fc.array(fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 30_000 })), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(fc.array(packet, { maxLength: 12 }), sizes, async (packets, chunkBytes) => {
      const transport = new RecordingTransport();
      const stream = streamOn(transport);
      const bytes = Buffer.concat(packets);
      for (let from = 0, index = 0; from < bytes.length; index += 1) {
        const to = from + 1 + (chunkBytes[index % chunkBytes.length] ?? 0);
        stream.write(bytes.subarray(from, to));
        from = to;
      }
      // One turn for the first chunk, and one for all others.
      await turn();
      await turn();
      const isAck = (one: Buffer) => one[0] === 0x40;
      const others = packets.filter((one) => !isAck(one));
      expect(Buffer.concat(transport.written).equals(Buffer.concat(others))).toBe(true);
      const acks = packets.filter(isAck);
      stream.releaseAcks(acks.length);
      expect(Buffer.concat(transport.written).equals(Buffer.concat([...others, ...acks]))).toBe(true);
      stream.destroy();
    }),
    { numRuns: 100 },
  );
});

test('the packets of one turn reach the transport with one write', async () => {
  const transport = new RecordingTransport();
  const stream = streamOn(transport);
  stream.write(pingreq);
  stream.write(pingreq);
  stream.write(pingreq);
  await turn();
  await turn();
  expect(transport.written.map(({ length }) => length)).toEqual([2, 4]);
});

test('a transport that does not keep up stops the writer', async () => {
  const transport = new RecordingTransport({ writableHighWaterMark: 10 });
  transport.isBlocked = true;
  const stream = streamOn(transport);
  const publish = publishPacket('a', 'x'.repeat(20_000));
  const accepted = [publish, publish, publish, publish, publish].map((packet) => stream.write(packet));
  await turn();
  expect(transport.written).toHaveLength(1);
  expect(accepted.at(-1)).toBe(false);
});

test('a reader that does not keep up stops the transport', async () => {
  const transport = new RecordingTransport();
  const stream = streamOn(transport);
  for (let sent = 0; sent < 80; sent += 1) transport.push(publishPacket('a', 'x'.repeat(900)));
  await turn();
  await turn();
  expect(transport.isPaused()).toBe(true);
  let received = 0;
  stream.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  await expect.poll(() => received).toBe(80 * publishPacket('a', 'x'.repeat(900)).length);
});

test('an oversized packet destroys the stream, and none of its bytes are read', async () => {
  const transport = new RecordingTransport();
  const stream = new MqttStream(transport, 1000);
  const failed = new Promise((resolve) => stream.on('error', resolve));
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  transport.push(publishPacket('big', 'x'.repeat(2000)));
  await expect(failed).resolves.toMatchObject({
    code: 'mqtt-message-too-large',
    message: 'The broker sent a message of 2007 bytes on big; maxMessageSize is 1000',
  });
  expect(chunks).toEqual([]);
  expect(transport.destroyed).toBe(true);
});
