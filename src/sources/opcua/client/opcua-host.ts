import type { Timer } from '../../../platform/clock.ts';
import type { Deps } from '../../../platform/deps.ts';
import { errorMessage } from '../../../platform/errors.ts';
import type { OpcuaCommand, OpcuaEvent, OpcuaJob } from '../opcua-protocol.ts';
import { listNode } from './node-listing.ts';
import { type OpcuaSession, openSession } from './opcua-session.ts';
import { OpcuaSubscriptions } from './opcua-subscriptions.ts';
import { ValueCollector } from './value-collector.ts';

/** Refused items are requested again: a server may load its address space after its start. */
const RETRY_REFUSED_MS = 30_000;
/** Time between two reports of the server's clock. */
const SKEW_MS = 10_000;

type Post = (event: OpcuaEvent) => void;

/** Connections of the process with the library, by number. */
export class OpcuaHost implements AsyncDisposable {
  readonly #post: Post;
  readonly #clock: Deps['clock'];
  readonly #connections = new Map<number, HostedConnection>();

  constructor(post: Post, { clock }: Pick<Deps, 'clock'>) {
    this.#post = post;
    this.#clock = clock;
  }

  take(command: OpcuaCommand): void {
    const { connection: number } = command;
    if (command.type === 'close') return void this.#connections.get(number)?.end('closed');
    if (command.type === 'browse') return void this.#connections.get(number)?.browse(command.request, command.node);
    const connection = new HostedConnection(command.job, this.#clock, (event) => {
      if (event.type === 'ended') this.#connections.delete(number);
      this.#post({ connection: number, ...event });
    });
    this.#connections.set(number, connection);
    void connection.open();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#connections.values()].map((connection) => connection.end('closed')));
  }
}

type ConnectionEvent = OpcuaEvent extends infer Event
  ? Event extends OpcuaEvent
    ? Omit<Event, 'connection'>
    : never
  : never;

/** One connection: a session with its subscriptions. */
class HostedConnection {
  readonly #job: OpcuaJob;
  readonly #clock: Deps['clock'];
  readonly #report: (event: ConnectionEvent) => void;
  readonly #collector: ValueCollector;
  readonly #heard = new Set<number>();
  #session: OpcuaSession | undefined;
  #subscriptions: OpcuaSubscriptions | undefined;
  #retry: Timer | undefined;
  #flush: NodeJS.Immediate | undefined;
  #skewAtMs = -Infinity;
  #ended: Promise<void> | undefined;

  constructor(job: OpcuaJob, clock: Deps['clock'], report: (event: ConnectionEvent) => void) {
    this.#job = job;
    this.#clock = clock;
    this.#report = report;
    this.#collector = new ValueCollector(job);
  }

  async open(): Promise<void> {
    try {
      const session = await openSession(this.#job.endpoint, this.#clock.nowMs(), (reason) => void this.end(reason));
      this.#session = session;
      // Closed or lost meanwhile.
      if (this.#ended !== undefined) {
        await session[Symbol.asyncDispose]();
        return;
      }
      const subscriptions = new OpcuaSubscriptions(session.session, this.#job, {
        onValue: (item, dataValue) => {
          this.#collector.add(item, dataValue);
          this.#flush ??= setImmediate(() => this.#send());
        },
        onMessage: (publishingMs) => {
          this.#heard.add(publishingMs);
          this.#flush ??= setImmediate(() => this.#send());
        },
        onServerTime: (serverMs) => this.#takeServerTime(serverMs),
        onLost: (reason) => void this.end(reason),
      });
      this.#subscriptions = subscriptions;
      const silencesMs = await subscriptions.open();
      if (this.#ended !== undefined) return;
      this.#reportRefused();
      this.#report({ type: 'opened', silencesMs, expiresMs: Date.parse(session.own.certificate.validTo) });
    } catch (error) {
      await this.end(errorMessage(error));
    }
  }

  async browse(request: number, node: string | undefined): Promise<void> {
    try {
      if (this.#session === undefined) throw new Error('not connected');
      const listing = await listNode(this.#session.session, node);
      if (this.#ended === undefined) this.#report({ type: 'browsed', request, listing });
    } catch (error) {
      if (this.#ended === undefined) this.#report({ type: 'browse-failed', request, reason: errorMessage(error) });
    }
  }

  /** Ends the connection, once. */
  end(reason: string): Promise<void> {
    this.#ended ??= this.#end(reason);
    return this.#ended;
  }

  async #end(reason: string): Promise<void> {
    this.#retry?.cancel();
    clearImmediate(this.#flush);
    this.#report({ type: 'ended', reason });
    await this.#session?.[Symbol.asyncDispose]();
  }

  /** The values of a message first: they may end a silence, and replace held values. */
  #send(): void {
    this.#flush = undefined;
    if (this.#ended !== undefined) return;
    const values = this.#collector.take();
    if (values !== undefined) this.#report({ type: 'values', values });
    for (const publishingMs of this.#heard) this.#report({ type: 'alive', publishingMs });
    this.#heard.clear();
  }

  #takeServerTime(serverMs: number): void {
    const clock = this.#clock;
    if (clock.monotonicMs() - this.#skewAtMs < SKEW_MS) return;
    this.#skewAtMs = clock.monotonicMs();
    this.#report({ type: 'skew', skewMs: serverMs - clock.nowMs() });
  }

  #reportRefused(): void {
    const items = this.#subscriptions?.refused() ?? [];
    this.#report({ type: 'refused', items });
    if (items.length > 0)
      this.#retry = this.#clock.setTimer(() => void this.#retryRefused(items.map(([item]) => item)), RETRY_REFUSED_MS);
  }

  async #retryRefused(items: readonly number[]): Promise<void> {
    try {
      await this.#subscriptions?.monitor(items);
      if (this.#ended === undefined) this.#reportRefused();
    } catch (error) {
      await this.end(errorMessage(error));
    }
  }
}
