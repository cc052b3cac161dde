import * as z from 'zod';
import type { Clock } from '../../platform/clock.ts';
import type { MqttWill } from '../../protocols/mqtt/mqtt-client-options.ts';
import { hostStateTopic } from '../../protocols/sparkplug/sparkplug-topic.ts';

/** STATE messages of a host application. @see Sparkplug 3.0, sections 4.4 and 5.8. */
export class HostState {
  readonly topic: string;
  readonly #clock: Clock;
  /** Of the will and the birth of the current connection: edge nodes ignore a STATE that is older than the last one. */
  #timestampMs = 0;

  constructor(hostId: string, clock: Clock) {
    this.topic = hostStateTopic(hostId);
    this.#clock = clock;
  }

  /** Returns the will of the next connection. */
  nextWill(): MqttWill {
    this.#timestampMs = Math.round(this.#clock.nowMs());
    return { topic: this.topic, payload: stateText(false, this.#timestampMs), qos: 1, retain: true };
  }

  /** The birth of the current connection. */
  online(): string {
    return stateText(true, this.#timestampMs);
  }

  /** The death before a DISCONNECT. It has the current time. */
  offline(): string {
    return stateText(false, Math.max(this.#timestampMs, Math.round(this.#clock.nowMs())));
  }

  /**
   * Checks a message on the topic of the own state.
   *
   * @returns The text of a message that another client published and that is not an online state; undefined for the own
   *   state. The next birth is not older than that message, or edge nodes would ignore it.
   */
  foreignOffline(payload: Buffer): string | undefined {
    const text = payload.toString('utf8', 0, 100);
    const { online, timestamp } = parseState(text);
    if (online) return undefined;
    this.#timestampMs = Math.max(this.#timestampMs, timestamp);
    return text;
  }
}

function stateText(online: boolean, timestamp: number): string {
  return JSON.stringify({ online, timestamp });
}

/** A field of another type counts as missing. */
const stateSchema = z
  .object({ online: z.boolean().catch(false), timestamp: z.coerce.number().pipe(z.int()).catch(0) })
  .catch({ online: false, timestamp: 0 });

/** `OFFLINE` and `ONLINE` are the payloads of Sparkplug 2.2. */
function parseState(text: string): z.infer<typeof stateSchema> {
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch {
    return { online: text.trim().toUpperCase() === 'ONLINE', timestamp: 0 };
  }
}
