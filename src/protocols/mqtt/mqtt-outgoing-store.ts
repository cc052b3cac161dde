import { type IPublishPacket, Store } from 'mqtt';

/**
 * Store of mqtt.js for the messages that it would send again on a new connection. andon opens a new client for each connection
 * and sends again from the outbox, so this store keeps the ids only.
 *
 * mqtt.js stores a copy of each message. Its memory is freed immediately: as garbage, the copies of large messages cause a
 * collection of the whole heap every few megabytes.
 */
export class MqttOutgoingStore extends Store {
  readonly #originals = new WeakSet<ArrayBufferLike>();

  /** Marks a payload whose memory is not a copy. */
  protect(payload: Buffer): void {
    this.#originals.add(payload.buffer);
  }

  override put(...[packet, done]: Parameters<Store['put']>): this {
    if (packet.cmd !== 'publish') return super.put(packet, done);
    this.#free(packet.payload);
    return super.put({ ...packet, payload: '' }, done);
  }

  #free(payload: IPublishPacket['payload']): void {
    if (typeof payload === 'string' || this.#originals.has(payload.buffer)) return;
    // A small buffer is a part of a pool that it shares with others.
    const isWhole = payload.byteLength === payload.buffer.byteLength;
    if (isWhole && payload.buffer instanceof ArrayBuffer) payload.buffer.transfer(0);
  }
}
