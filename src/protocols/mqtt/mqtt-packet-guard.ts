import { shownTopic } from './mqtt-topic-filter.ts';

/** Fault of a byte stream, found before the bytes are buffered. */
export type PacketBreach =
  | { readonly kind: 'too-large'; readonly bytes: number; readonly topic: string | undefined }
  | { readonly kind: 'malformed'; readonly what: string };

const PUBLISH = 3;
/** Packets for a client that uses QoS 0 and 1: CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT. */
const FROM_BROKER: ReadonlySet<number> = new Set([2, PUBLISH, 4, 9, 13, 14]);

/**
 * Follows the packet boundaries of an MQTT byte stream and detects an oversized packet by its header.
 *
 * mqtt.js 5.16 checks the size only after it has buffered the whole packet: a publish of 256 MiB took 482 MiB.
 * The cost is a few steps a packet; bodies are skipped.
 *
 * @see MQTT 3.1.1, section 2.2 (fixed header): type and flags in the first byte, then the remaining length in
 *   one to four bytes of seven bits each, low bits first.
 */
export class MqttPacketGuard {
  readonly #bytesMax: number;
  #state: 'type' | 'length' | 'body' = 'type';
  #type = 0;
  #length = 0;
  #lengthBytes = 0;
  #bodyLeft = 0;

  /** @param bytesMax Largest accepted remaining length: topic, properties and payload together. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** @returns The first fault in the chunk, or undefined if there is none. After a fault the stream must end. */
  check(chunk: Uint8Array): PacketBreach | undefined {
    let index = 0;
    while (index < chunk.length) {
      if (this.#state === 'body') {
        const step = Math.min(this.#bodyLeft, chunk.length - index);
        index += step;
        this.#bodyLeft -= step;
        if (this.#bodyLeft === 0) this.#state = 'type';
        continue;
      }
      const byte = chunk[index] ?? 0;
      index += 1;
      const breach = this.#state === 'type' ? this.#takeType(byte) : this.#takeLength(byte);
      if (breach?.kind === 'too-large') return { ...breach, topic: this.#topic(chunk, index) };
      if (breach !== undefined) return breach;
    }
    return undefined;
  }

  #takeType(byte: number): PacketBreach | undefined {
    this.#type = byte >> 4;
    if (!FROM_BROKER.has(this.#type)) return { kind: 'malformed', what: `packet type ${this.#type}` };
    // No subscription uses QoS 2, and mqtt.js would keep each such message until its PUBREL, without a limit.
    if (this.#type === PUBLISH && (byte & 0x06) > 0x02) return { kind: 'malformed', what: 'publish with QoS 2 or 3' };
    this.#state = 'length';
    this.#length = 0;
    this.#lengthBytes = 0;
    return undefined;
  }

  #takeLength(byte: number): PacketBreach | undefined {
    this.#length += (byte & 0x7f) * 128 ** this.#lengthBytes;
    this.#lengthBytes += 1;
    if (byte >= 0x80)
      return this.#lengthBytes < 4 ? undefined : { kind: 'malformed', what: 'remaining length of more than 4 bytes' };
    if (this.#length > this.#bytesMax) return { kind: 'too-large', bytes: this.#length, topic: undefined };
    this.#bodyLeft = this.#length;
    this.#state = this.#length === 0 ? 'type' : 'body';
    return undefined;
  }

  /** Topic of an oversized publish for display; undefined if the chunk does not contain it. */
  #topic(chunk: Uint8Array, from: number): string | undefined {
    if (this.#type !== PUBLISH || chunk.length < from + 2) return undefined;
    const length = (chunk[from] ?? 0) * 256 + (chunk[from + 1] ?? 0);
    if (chunk.length < from + 2 + length) return undefined;
    const topic = Buffer.from(chunk.subarray(from + 2, from + 2 + length)).toString('utf8');
    return shownTopic(topic);
  }
}
