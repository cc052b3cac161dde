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
  /** The start of a packet whose length is not known yet, or of a PUBACK. */
  #start: Buffer = Buffer.alloc(0);
  /** Bytes to come of a packet that passes. */
  #passing = 0;

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
    const packets = chunks.flatMap(({ chunk }) => this.#withoutAcks(chunk)).concat(this.#takeReleasedAcks());
    // One write to the transport, without a copy of the payloads.
    this.#transport.cork();
    const isWritten = packets.map((bytes) => this.#transport.write(bytes)).every(Boolean);
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

  /** Moves the PUBACK packets of `chunk` to the held ones. @returns The parts of other packets. */
  #withoutAcks(chunk: Buffer): readonly Buffer[] {
    const others: Buffer[] = [];
    for (let rest = chunk; rest.length > 0;) {
      if (this.#passing === 0) {
        rest = this.#start.length === 0 ? rest : Buffer.concat([this.#start, rest]);
        const length = packetLength(rest);
        const isAck = (rest[0] ?? 0) >> 4 === PUBACK;
        this.#start = length === undefined || (isAck && length > rest.length) ? rest : Buffer.alloc(0);
        if (length === undefined || this.#start.length > 0) break;
        if (!isAck) this.#passing = length;
        else {
          this.#acks.push(rest.subarray(0, length));
          rest = rest.subarray(length);
        }
      }
      const part = rest.subarray(0, this.#passing);
      if (part.length > 0) others.push(part);
      this.#passing -= part.length;
      rest = rest.subarray(part.length);
    }
    return others;
  }

  #takeReleasedAcks(): readonly Buffer[] {
    const acks = this.#acks.splice(0, this.#acksReleased);
    this.#acksReleased -= acks.length;
    return acks;
  }
}

/** @returns The length of the packet that begins here; undefined if its head is incomplete. */
function packetLength(bytes: Buffer): number | undefined {
  let length = 0;
  for (let digit = 0; digit < 4; digit += 1) {
    const byte = bytes[1 + digit];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 128 ** digit;
    if (byte < 0x80) return 2 + digit + length;
  }
  return undefined;
}
