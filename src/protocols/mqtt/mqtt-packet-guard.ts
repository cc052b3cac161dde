import { shownTopic } from './mqtt-topic-filter.ts';

/** Fault of a byte stream, found before the bytes are buffered. */
export type PacketBreach =
  | { readonly kind: 'too-large'; readonly bytes: number; readonly topic: string | undefined }
  | { readonly kind: 'malformed'; readonly what: string };

const PUBLISH = 3;
const PUBACK = 4;
/** Reason codes of a PUBACK that mqtt.js 5.16 accepts. @see MQTT 5, section 3.4.2.1. */
const PUBACK_CODES: ReadonlySet<number> = new Set([0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
const UNSPECIFIED_ERROR = 0x80;
/** Packets for a client that uses QoS 0 and 1: CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT. */
const FROM_BROKER: ReadonlySet<number> = new Set([2, PUBLISH, 4, 9, 13, 14]);

/**
 * Follows the packet boundaries of an MQTT byte stream and detects an oversized packet by its header. Replaces reason codes that
 * mqtt.js does not accept.
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
  #messageId = 0;
  /** Real reason codes of PUBACK packets, by message id. */
  readonly #replaced = new Map<number, number>();

  /** @param bytesMax Largest accepted remaining length: topic, properties and payload together. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** @returns The first fault in the chunk, or undefined if there is none. After a fault the stream must end. */
  check(chunk: Uint8Array): PacketBreach | undefined {
    let index = 0;
    while (index < chunk.length) {
      if (this.#state === 'body') {
        if (this.#type === PUBACK) this.#readPuback(chunk, index);
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

  /** Returns the reason code of a PUBACK that was replaced in the stream, once. */
  takeReplacedReason(messageId: number): number | undefined {
    const code = this.#replaced.get(messageId);
    this.#replaced.delete(messageId);
    return code;
  }

  /**
   * Reads the part of a PUBACK in the chunk. A reason code that MQTT 5 does not allow there is replaced by 'unspecified error':
   * mosquitto 2.0.11 sends 0x95 (packet too large), at which mqtt.js ends the connection.
   */
  #readPuback(chunk: Uint8Array, from: number): void {
    const read = this.#length - this.#bodyLeft;
    const end = Math.min(from + this.#bodyLeft, chunk.length);
    for (let index = from, place = read; index < end && place < 3; index += 1, place += 1) {
      const byte = chunk[index] ?? 0;
      if (place === 0) this.#messageId = byte * 256;
      else if (place === 1) this.#messageId += byte;
      else if (!PUBACK_CODES.has(byte)) {
        chunk[index] = UNSPECIFIED_ERROR;
        this.#replaced.set(this.#messageId, byte);
      }
    }
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
