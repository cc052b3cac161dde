import { expect, it } from 'vitest';
import { MqttOutgoingStore } from '../../src/protocols/mqtt/mqtt-outgoing-store.ts';

function packetOf(payload: Buffer, messageId: number) {
  return { cmd: 'publish', topic: 't', qos: 1, dup: false, retain: false, messageId, payload } as const;
}

it('frees the copy of a large payload, keeps its id, and never frees the payload that is sent', () => {
  const store = new MqttOutgoingStore();
  const [original, copy] = [Buffer.alloc(100_000, 1), Buffer.alloc(100_000, 1)];
  store.protect(original);
  store.put(packetOf(copy, 1), () => undefined);
  store.put(packetOf(original, 2), () => undefined);
  expect([copy.length, original.length]).toEqual([0, 100_000]);
  store.del({ messageId: 1 }, (error, packet) => expect([error, packet?.messageId]).toEqual([null, 1]));
});

it('frees no buffer of the pool, which other buffers share', () => {
  const small = Buffer.from('small');
  new MqttOutgoingStore().put(packetOf(small, 1), () => undefined);
  expect(small.toString()).toBe('small');
});
