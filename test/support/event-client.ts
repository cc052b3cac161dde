import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { once } from 'node:events';

/** A client of server-sent events that reads only when it is asked to, and can leave at any moment. */
export class EventClient {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly #sent: ClientRequest;
  readonly #answer: IncomingMessage;
  #text = '';
  #ended = false;

  private constructor(sent: ClientRequest, answer: IncomingMessage) {
    this.#sent = sent;
    this.#answer = answer;
    this.status = answer.statusCode ?? 0;
    this.headers = answer.headers;
    answer.on('end', () => (this.#ended = true));
    answer.on('error', () => (this.#ended = true));
  }

  /** Resolves once the head of the answer has come. */
  static async post(url: string, body: object): Promise<EventClient> {
    const sent = request(url, { method: 'POST' });
    sent.end(JSON.stringify(body));
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    // A connection that the server cuts is the answer's to report.
    sent.on('error', () => undefined);
    return new EventClient(sent, answer);
  }

  /** The next event's data; comments as their text; undefined at the end. */
  async next(): Promise<unknown> {
    for (;;) {
      const end = this.#text.indexOf('\n\n');
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        return block.startsWith('data: ') ? (JSON.parse(block.slice(6)) as unknown) : block;
      }
      const chunk: unknown = this.#answer.read();
      if (chunk instanceof Buffer) this.#text += chunk.toString();
      else if (this.#ended || this.#answer.destroyed) return undefined;
      else await this.#news();
    }
  }

  async all(): Promise<readonly unknown[]> {
    const events: unknown[] = [];
    for (let event = await this.next(); event !== undefined; event = await this.next()) events.push(event);
    return events;
  }

  #news(): Promise<void> {
    const events = ['readable', 'end', 'close'] as const;
    return new Promise((resolve) => {
      const done = (): void => {
        for (const event of events) this.#answer.off(event, done);
        resolve();
      };
      for (const event of events) this.#answer.on(event, done);
    });
  }

  leave(): void {
    this.#sent.destroy();
  }
}
