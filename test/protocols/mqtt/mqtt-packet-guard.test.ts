import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { MqttPacketGuard } from '../../../src/protocols/mqtt/mqtt-packet-guard.ts';
import { publishPacket, remainingLength } from '../../support/broker-raw.ts';

const BYTES_MAX = 300;

/** Cuts the bytes at the given positions. */
function cut(bytes: Buffer, places: readonly number[]): readonly Buffer[] {
  const borders = [0, ...places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return borders.slice(1).map((end, index) => bytes.subarray(borders[index], end));
}

const payload = fc.uint8Array({ maxLength: BYTES_MAX - 10 }).map((bytes) => Buffer.from(bytes));

test('packets within the limit pass, at every split into chunks', () => {
  fc.assert(
    fc.property(fc.array(payload, { maxLength: 8 }), fc.array(fc.nat()), (payloads, places) => {
      const stream = Buffer.concat(payloads.map((bytes) => publishPacket('a', bytes)));
      const guard = new MqttPacketGuard(BYTES_MAX);
      expect(cut(stream, places).map((chunk) => guard.check(chunk))).not.toContainEqual(expect.anything());
    }),
  );
});

test('a packet over the limit is detected by its header, at every split into chunks', () => {
  fc.assert(
    fc.property(
      payload,
      fc.integer({ min: BYTES_MAX + 1, max: 268_435_455 }),
      fc.array(fc.nat()),
      (before, length, places) => {
        const stream = Buffer.concat([publishPacket('a', before), Buffer.of(0x30), remainingLength(length)]);
        const guard = new MqttPacketGuard(BYTES_MAX);
        const breaches = cut(stream, places).flatMap((chunk) => guard.check(chunk) ?? []);
        expect(breaches).toEqual([{ kind: 'too-large', bytes: length, topic: undefined }]);
      },
    ),
  );
});

test('the topic of a message that is too large is named, without its control characters', () => {
  const breach = new MqttPacketGuard(4).check(publishPacket('cell/\u001b[2J', '12345'));
  expect(breach).toEqual({ kind: 'too-large', bytes: 18, topic: 'cell/?[2J' });
});

test.each([
  ['a packet type that only clients send', [0x10, 0]],
  ['a publish with QoS 2, which no subscription requests', [0x34, 5, 0, 1, 97, 0, 1]],
  ['a remaining length of five bytes', [0x30, 0xff, 0xff, 0xff, 0xff, 1]],
])('%s is malformed', (_name, bytes) => {
  expect(new MqttPacketGuard(BYTES_MAX).check(Uint8Array.from(bytes))?.kind).toBe('malformed');
});

test('a reason code that PUBACK may not have is replaced and kept, at every split into chunks', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ id: fc.integer({ min: 1, max: 65_535 }), code: fc.constantFrom(0, 0x10, 0x87, 0x95, 0x97, 0x99) }),
        {
          maxLength: 5,
        },
      ),
      fc.array(fc.nat()),
      (pubacks, places) => {
        const packets = pubacks.map(({ id, code }) => [0x40, 4, id >> 8, id & 0xff, code, 0]);
        const stream = Buffer.from(packets.flat());
        const guard = new MqttPacketGuard(BYTES_MAX);
        for (const chunk of cut(stream, places)) expect(guard.check(chunk)).toBeUndefined();
        const passed = pubacks.map((_each, index) => stream[index * 6 + 4]);
        expect(passed).toEqual(pubacks.map(({ code }) => (code === 0x95 ? 0x80 : code)));
        const real = new Set(pubacks.filter(({ code }) => code === 0x95).map(({ id }) => id));
        for (const id of real)
          expect([guard.takeReplacedReason(id), guard.takeReplacedReason(id)]).toEqual([0x95, undefined]);
      },
    ),
  );
});
