import { hostStateTopic } from '../../protocols/sparkplug/sparkplug-topic.ts';
import { parseHostState } from '../../protocols/sparkplug/host-state-text.ts';

/**
 * State of the primary host application, from its STATE messages.
 *
 * @see Sparkplug 3.0, sections 5.5 and 6.4.1.
 */
export class PrimaryHost {
  readonly topic: string;
  /** Undefined until the first STATE of a connection. */
  #online: boolean | undefined;
  #timestampMs = -Infinity;

  /** @param id Last level of the topic; compared with upper and lower case. */
  constructor(id: string) {
    this.topic = hostStateTopic(id);
  }

  get online(): boolean {
    return this.#online === true;
  }

  /**
   * Takes a STATE message. One that is older than the last is ignored: the will of an earlier connection of the host may arrive after its birth.
   *
   * @returns True if it is valid and not older.
   */
  take(payload: Buffer): boolean {
    const state = parseHostState(payload);
    if (state === undefined || state.timestamp < this.#timestampMs) return false;
    this.#timestampMs = state.timestamp;
    this.#online = state.online;
    return true;
  }

  /** Forgets the state: the broker sends the retained STATE of the host on the next connection. */
  forget(): void {
    this.#online = undefined;
  }
}
