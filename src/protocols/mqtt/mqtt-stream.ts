import { Duplex } from 'node:stream';
import { OperatingError } from '../../platform/errors.ts';
import { MqttPacketGuard } from './mqtt-packet-guard.ts';

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
  /** The start of a packet whose end mqtt.js has not written. */
  #unfinished: Buffer = Buffer.alloc(0);

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
    const packets = this.#withoutAcks(Buffer.concat([this.#unfinished, ...chunks.map(({ chunk }) => chunk)]));
    const bytes = Buffer.concat([...packets, ...this.#takeReleasedAcks()]);
    // Packets that are written in the same turn are collected and reach the transport together.
    if (bytes.length === 0 || this.#transport.write(bytes)) setImmediate(callback);
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
        this.destroy(new OperatingError('mqtt-message-too-large', 'retry', text));
        return;
      }
      case 'malformed': {
        const text = `The broker sent bytes that are not MQTT: ${breach.what}`;
        this.destroy(new OperatingError('mqtt-malformed-packet', 'retry', text));
      }
    }
  }

  /** Moves the PUBACK packets of `bytes` to the held ones. @returns The other packets. */
  #withoutAcks(bytes: Buffer): readonly Buffer[] {
    const others: Buffer[] = [];
    let sentUpTo = 0;
    let start = 0;
    for (let end = packetEnd(bytes, start); end !== undefined; end = packetEnd(bytes, start)) {
      if ((bytes[start] ?? 0) >> 4 === PUBACK) {
        if (start > sentUpTo) others.push(bytes.subarray(sentUpTo, start));
        this.#acks.push(bytes.subarray(start, end));
        sentUpTo = end;
      }
      start = end;
    }
    if (start > sentUpTo) others.push(bytes.subarray(sentUpTo, start));
    this.#unfinished = bytes.subarray(start);
    return others;
  }

  #takeReleasedAcks(): readonly Buffer[] {
    const acks = this.#acks.splice(0, this.#acksReleased);
    this.#acksReleased -= acks.length;
    return acks;
  }
}

/** @returns The index after the packet that begins at `start`; undefined if its end is missing. */
function packetEnd(bytes: Buffer, start: number): number | undefined {
  let length = 0;
  for (let digit = 0; digit < 4; digit += 1) {
    const byte = bytes[start + 1 + digit];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 128 ** digit;
    if (byte >= 0x80) continue;
    const end = start + 2 + digit + length;
    return end <= bytes.length ? end : undefined;
  }
  return undefined;
}
