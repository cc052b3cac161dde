import { once } from 'node:events';
import type { FastifyReply } from 'fastify';
import type { Clock, Timer } from '../../platform/clock.ts';

/** A client that reads nothing for this long is disconnected. */
const STALLED_MS = 30_000;
/** A comment line this often keeps proxies from closing an idle stream. */
const KEEP_ALIVE_MS = 15_000;

/**
 * Server-sent events of one client, each `data:` with JSON. Nothing is sent before the first event, so that an error before it
 * can have its own status.
 */
export class EventChannel {
  readonly #reply: FastifyReply;
  readonly #gone: AbortSignal;
  readonly #clock: Clock;
  #keepAlive: Timer | undefined;
  #waiting = false;
  #stalled = false;

  /** @param gone Aborted when the client has disconnected; the owner of the channel aborts it. */
  constructor(reply: FastifyReply, gone: AbortSignal, clock: Clock) {
    this.#reply = reply;
    this.#gone = gone;
    this.#clock = clock;
  }

  get isOpen(): boolean {
    return this.#keepAlive !== undefined;
  }

  /** True if the client was disconnected because it did not read. */
  get stalled(): boolean {
    return this.#stalled;
  }

  /** Resolves when the next event can be sent, or the client has disconnected. */
  async send(event: object): Promise<void> {
    if (this.#gone.aborted) return;
    this.#open();
    if (this.#reply.raw.write(text(event))) return;
    this.#waiting = true;
    await this.#drained();
    this.#waiting = false;
  }

  /** Sends the last event. */
  end(event: object): void {
    if (this.#gone.aborted) return;
    this.#open();
    this.#keepAlive?.cancel();
    this.#reply.raw.end(text(event));
  }

  #open(): void {
    if (this.isOpen) return;
    const { raw } = this.#reply.hijack();
    raw.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    this.#gone.addEventListener('abort', () => this.#keepAlive?.cancel());
    this.#beatLater();
  }

  #beatLater(): void {
    const beat = (): void => {
      if (!this.#waiting) this.#reply.raw.write(': still here\n\n');
      this.#beatLater();
    };
    this.#keepAlive = this.#clock.setTimer(beat, KEEP_ALIVE_MS, { background: true });
  }

  async #drained(): Promise<void> {
    const giveUp = (): void => {
      this.#stalled = true;
      // Not the reply: it may still wait behind a pipelined one.
      this.#reply.request.raw.socket.destroy();
    };
    const timer = this.#clock.setTimer(giveUp, STALLED_MS, { background: true });
    // It rejects when the client has disconnected.
    await once(this.#reply.raw, 'drain', { signal: this.#gone }).catch(() => undefined);
    timer.cancel();
  }
}

function text(event: object): string {
  return `data: ${JSON.stringify(event)}\n\n`;
}
