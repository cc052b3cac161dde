import type { FastifyReply } from 'fastify';
import type { Clock, Timer } from '../../platform/clock.ts';

/** A client that takes nothing for so long is taken for gone. */
const STALLED_MS = 30_000;
/** A comment line this often, while there is nothing to say, keeps proxies from closing the stream. */
const KEEP_ALIVE_MS = 15_000;

/**
 * One client's server-sent events, `data:` with JSON each. Nothing is sent before the first event, so that until then
 * an error can still be an answer with a status.
 */
export class EventChannel {
  readonly #reply: FastifyReply;
  readonly #gone: AbortSignal;
  readonly #clock: Clock;
  #keepAlive: Timer | undefined;
  #waiting = false;
  #stalled = false;

  /** @param gone Aborted once the client is; whoever owns the channel ends it. */
  constructor(reply: FastifyReply, gone: AbortSignal, clock: Clock) {
    this.#reply = reply;
    this.#gone = gone;
    this.#clock = clock;
  }

  get isOpen(): boolean {
    return this.#keepAlive !== undefined;
  }

  /** Whether the client was given up because it took nothing. */
  get stalled(): boolean {
    return this.#stalled;
  }

  /** Resolves once there is room for more, or the client is gone. */
  async send(event: object): Promise<void> {
    if (this.#gone.aborted) return;
    this.#open();
    if (this.#reply.raw.write(text(event))) return;
    this.#waiting = true;
    await this.#drained();
    this.#waiting = false;
  }

  /** The last event. */
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

  #drained(): Promise<void> {
    const { raw } = this.#reply;
    return new Promise((resolve) => {
      const giveUp = (): void => {
        this.#stalled = true;
        // Not the reply, which may not have its turn on the connection yet.
        this.#reply.request.raw.socket.destroy();
      };
      const timer = this.#clock.setTimer(giveUp, STALLED_MS, { background: true });
      const done = (): void => {
        timer.cancel();
        raw.off('drain', done);
        this.#gone.removeEventListener('abort', done);
        resolve();
      };
      raw.once('drain', done);
      this.#gone.addEventListener('abort', done);
    });
  }
}

function text(event: object): string {
  return `data: ${JSON.stringify(event)}\n\n`;
}
