import { randomUUID } from 'node:crypto';
import type { LiveEvent, LiveEvents } from '../contracts/live-events.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';

/** Most text that is kept for clients that reconnect. A longer gap costs less if the client reads the lists again. */
const BYTES_MAX = 524_288;
/** Events are kept this long after the last client left. */
const IDLE_MS = 60_000;

type KeptEvent = { readonly number: number; readonly text: string; readonly bytes: number };

/** The events after a client's last one, or why they are not complete. */
export type Missed =
  | { readonly state: 'complete'; readonly texts: readonly string[] }
  | { readonly state: 'gap'; readonly reason: string };

/**
 * Numbers events, writes each as text once for all clients, and keeps the last ones. It receives events only while a client is
 * connected, or was in the last minute.
 */
export class EventReplay {
  readonly #events: LiveEvents;
  readonly #textOf: (event: LiveEvent, id: string) => string;
  readonly #deps: Deps;
  readonly #clients = new Set<(text: string) => void>();
  /** Oldest first, with consecutive numbers. */
  readonly #kept: KeptEvent[] = [];
  #keptBytes = 0;
  #last = 0;
  /** Changes whenever continuity is lost, so that an id of an earlier run is not taken for one of this run. */
  #run = '';
  /** Text of the events of this turn. */
  #unsent = '';
  #unsubscribe: (() => void) | undefined;
  #idle: Timer | undefined;

  constructor(events: LiveEvents, textOf: (event: LiveEvent, id: string) => string, deps: Deps) {
    this.#events = events;
    this.#textOf = textOf;
    this.#deps = deps;
  }

  /** Calls `send` with the text of events, those of one turn of the event loop together. @returns Ends the calls. */
  subscribe(send: (text: string) => void): () => void {
    this.#idle?.cancel();
    this.#flush();
    if (this.#unsubscribe === undefined) {
      this.#run = randomUUID().slice(0, 8);
      this.#unsubscribe = this.#events.subscribe((event) => this.#add(event));
    }
    this.#clients.add(send);
    return () => {
      this.#clients.delete(send);
      if (this.#clients.size === 0)
        this.#idle = this.#deps.clock.setTimer(() => this.stop(), IDLE_MS, { background: true });
    };
  }

  /** Id of the last event, for a client that receives none. */
  get lastId(): string {
    return `${this.#run}-${this.#last}`;
  }

  /** Returns the events after the one with this id. */
  after(id: string): Missed {
    const [run, last] = [id.slice(0, id.lastIndexOf('-')), Number(id.slice(id.lastIndexOf('-') + 1))];
    if (run !== this.#run || !Number.isInteger(last) || last > this.#last)
      return { state: 'gap', reason: 'The id is not one of this run of the agent.' };
    const first = this.#kept[0]?.number ?? this.#last + 1;
    if (last + 1 < first) return { state: 'gap', reason: `${first - last - 1} events are no longer kept.` };
    return { state: 'complete', texts: this.#kept.slice(last + 1 - first).map(({ text }) => text) };
  }

  /** Forgets all events. */
  stop(): void {
    this.#idle?.cancel();
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#kept.length = 0;
    this.#keptBytes = 0;
  }

  #add(event: LiveEvent): void {
    this.#last += 1;
    const text = this.#textOf(event, this.lastId);
    const bytes = Buffer.byteLength(text);
    this.#kept.push({ number: this.#last, text, bytes });
    this.#keptBytes += bytes;
    while (this.#keptBytes > BYTES_MAX) this.#keptBytes -= this.#kept.shift()?.bytes ?? 0;
    if (this.#unsent === '') setImmediate(() => this.#flush());
    this.#unsent += text;
  }

  /** A commit emits the verdicts of many watches: each client gets them in one packet. */
  #flush(): void {
    const text = this.#unsent;
    this.#unsent = '';
    if (text !== '') for (const send of this.#clients) send(text);
  }
}
