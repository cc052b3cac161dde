import type { Writable } from 'node:stream';
import mqttPacket from 'mqtt-packet';

/** mqtt-packet keeps the encoded length of each message shorter than this. */
export const KEPT_LENGTHS = 16_384;
/** Bytes of the shortest PUBLISH besides its payload: the length of the topic, and a topic of one character. */
const PUBLISH_BYTES = 3;

// This cache of 65,536 numbers costs more memory than the time it saves is worth.
mqttPacket.writeToStream.cacheNumbers = false;
let isPrepared = false;

/**
 * Bounds the memory of mqtt-packet, which mqtt.js writes with. Call before the first message that is shorter than `KEPT_LENGTHS`.
 *
 * The library keeps a small buffer for each length of a message that it has written. Node cuts small buffers from slabs of
 * 64 kB, and each kept buffer holds its slab: over months, messages of many lengths would hold up to a gigabyte. Written one
 * after the other, all lengths share a few slabs. It takes about 45 ms of CPU, which a connection with long messages only
 * does not need.
 */
export function prepareMqttPackets(): void {
  if (isPrepared) return;
  isPrepared = true;
  // A real stream takes twice as long, and mqtt-packet only writes to it.
  const discarded = { write: () => true } as unknown as Writable;
  const payload = Buffer.alloc(KEPT_LENGTHS);
  for (let length = PUBLISH_BYTES; length < KEPT_LENGTHS; length += 1)
    mqttPacket.writeToStream(
      {
        cmd: 'publish',
        topic: '-',
        payload: payload.subarray(0, length - PUBLISH_BYTES),
        qos: 0,
        dup: false,
        retain: false,
      },
      discarded,
    );
}
