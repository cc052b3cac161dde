import { createRequire } from 'node:module';
import mqttPacket from 'mqtt-packet';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { prepareMqttPackets } from '../../src/protocols/mqtt/mqtt-packet-cache.ts';
import { collectGarbage } from '../../src/runtime/session/collect-garbage.ts';

test('the library that is prepared is the one that mqtt.js writes with', () => {
  const own = createRequire(import.meta.url);
  const ofMqtt = createRequire(own.resolve('mqtt'));
  expect(ofMqtt.resolve('mqtt-packet')).toBe(own.resolve('mqtt-packet'));
});

test('messages of thousands of lengths hold no memory after they are sent', async () => {
  prepareMqttPackets();
  collectGarbage();
  const before = process.memoryUsage().arrayBuffers;
  const payload = Buffer.alloc(8_000);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  for (let length = 1; length < 8_000; length += 1) {
    // Other buffers of the process, between which the lengths would be kept.
    Buffer.allocUnsafe(4_000);
    mqttPacket.writeToStream(
      { cmd: 'publish', topic: 'a/b', payload: payload.subarray(0, length), qos: 0, dup: false, retain: false },
      nowhere,
    );
  }
  nowhere.destroy();
  const keptBytes = () => {
    collectGarbage();
    return process.memoryUsage().arrayBuffers - before;
  };
  // Without the preparation: 33 MB.
  await expect.poll(keptBytes).toBeLessThan(3e6);
});
