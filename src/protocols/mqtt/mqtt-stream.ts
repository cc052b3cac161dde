import { Duplex } from 'node:stream';
import { MqttPacketGuard } from './mqtt-packet-guard.ts';
import { mqttFailure } from './mqtt-errors.ts';

const PUBACK = 4;

/**
 * The byte stream between mqtt.js and the transport to a broker.
 *
 * - Incoming: an oversized or malformed packet destroys the stream before its bytes are buffered.
 * - Outgoing: PUBACK packets are held until `releaseAcks` is called. All other packets pass. One turn of the event
 *   loop makes one write to the transport.
 */
export class MqttStream extends Duplex {
  readonly #transport: Duplex;
  readonly #guard: MqttPacketGuard;
  /** PUBACK packets that mqtt.js has written and that are not released. */
  readonly #acks: Buffer[] = [];
  #acksReleased = 0;
  /** Part of the outgoing packet that the next byte belongs to. */
  #state: 'type' | 'length' | 'body' = 'type';
  /** Bytes to come of the body. */
  #left = 0;
  #lengthFactor = 1;
  #isAck = false;
  /** Parts so far of a PUBACK that arrives in pieces. */
  readonly #ackParts: Buffer[] = [];

  /** @param maxMessageSizeBytes Largest remaining length of an incoming packet: topic, properties and payload. */
  constructor(transport: Duplex, maxMessageSizeBytes: number) {
    super({ allowHalfOpen: false });
    this.#transport = transport;
    this.#guard = new MqttPacketGuard(maxMessageSizeBytes);
    transport.on('data', (chunk: Buffer) => this.#receive(chunk, maxMessageSizeBytes));
    transport.on('end', () => this.push(null));
    transport.on('error', (error) => this.destroy(error));
    transport.on('close', () => this.destroy());
  }

  /** Sends the next `count` PUBACK packets, including those that mqtt.js has not written yet. */
  releaseAcks(count: number): void {
    this.#acksReleased += count;
    const acks = this.#takeReleasedAcks();
    if (acks.length > 0 && !this.destroyed) this.#transport.write(Buffer.concat(acks));
  }

  /** Returns the reason code of a PUBACK that was replaced on its way to mqtt.js; undefined if it was not. */
  takeReplacedReason(messageId: number): number | undefined {
    return this.#guard.takeReplacedReason(messageId);
  }

  override _read(): void {
    this.#transport.resume();
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], callback: () => void): void {
    const parts: Buffer[] = [];
    for (const { chunk } of chunks) this.#sort(chunk, parts);
    parts.push(...this.#takeReleasedAcks());
    // One write to the transport, without a copy of the payloads.
    this.#transport.cork();
    let isWritten = true;
    for (const bytes of parts) isWritten = this.#transport.write(bytes) && isWritten;
    this.#transport.uncork();
    // Packets that are written in the same turn are collected and reach the transport together.
    if (isWritten) setImmediate(callback);
    else this.#transport.once('drain', callback);
  }

  override _final(callback: () => void): void {
    this.#transport.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#transport.destroy();
    callback(error);
  }

  #receive(chunk: Buffer, maxMessageSizeBytes: number): void {
    if (this.destroyed) return;
    const breach = this.#guard.check(chunk);
    switch (breach?.kind) {
      case undefined:
        if (!this.push(chunk)) this.#transport.pause();
        return;
      case 'too-large': {
        const topic = breach.topic === undefined ? '' : ` on ${breach.topic}`;
        const text = `The broker sent a message of ${breach.bytes} bytes${topic}; maxMessageSize is ${maxMessageSizeBytes}`;
        this.destroy(mqttFailure('mqtt-message-too-large', text));
        return;
      }
      case 'malformed': {
        const text = `The broker sent bytes that are not MQTT: ${breach.what}`;
        this.destroy(mqttFailure('mqtt-malformed-packet', text));
      }
    }
  }

  /** Adds the parts of a chunk to `others`, except PUBACK packets, which are held. A chunk may be any part of packets. */
  #sort(chunk: Buffer, others: Buffer[]): void {
    let from = 0;
    let index = 0;
    while (index < chunk.length) {
      if (this.#state === 'body') {
        const step = Math.min(this.#left, chunk.length - index);
        index += step;
        this.#left -= step;
      } else {
        const isAck = this.#readHead(chunk[index] ?? 0);
        if (isAck && index > from) others.push(chunk.subarray(from, index));
        if (isAck) from = index;
        index += 1;
      }
      if (this.#state !== 'body' || this.#left > 0) continue;
      this.#state = 'type';
      if (!this.#isAck) continue;
      this.#acks.push(Buffer.concat([...this.#ackParts.splice(0), chunk.subarray(from, index)]));
      this.#isAck = false;
      from = index;
    }
    if (from === chunk.length) return;
    // Most chunks are one part of a message and pass as they are.
    (this.#isAck ? this.#ackParts : others).push(from === 0 ? chunk : chunk.subarray(from));
  }

  /** Reads a byte of the type or the length of a packet. @returns True for the first byte of a PUBACK. */
  #readHead(byte: number): boolean {
    if (this.#state === 'type') {
      this.#state = 'length';
      this.#left = 0;
      this.#lengthFactor = 1;
      this.#isAck = byte >> 4 === PUBACK;
      return this.#isAck;
    }
    this.#left += (byte & 0x7f) * this.#lengthFactor;
    this.#lengthFactor *= 128;
    if (byte < 0x80) this.#state = 'body';
    return false;
  }

  #takeReleasedAcks(): readonly Buffer[] {
    const acks = this.#acks.splice(0, this.#acksReleased);
    this.#acksReleased -= acks.length;
    return acks;
  }
}
