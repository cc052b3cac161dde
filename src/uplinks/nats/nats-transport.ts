import type { ConnectionState, UplinkTransport } from '../../contracts/uplink.ts';
import type { RecordBatch } from '../../domain/record/record-batch.ts';
import { Backoff } from '../../platform/backoff.ts';
import { sleep } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import { batchPayload, COLUMNS_MESSAGE_BYTES } from '../message-json.ts';
import { UplinkError } from '../uplink-errors.ts';
import { greetingServer } from './greeting-server.ts';
import type { NatsUplinkConfig } from './nats-config.ts';
import type { NatsSession, StreamState } from './nats-session.ts';
import { HEADER_BYTES_MAX, streamProblem } from './stream-problem.ts';
import { verifySynced } from './verify-synced.ts';

export type NatsTransportOptions = {
  /** Component that owns the connection. */
  readonly name: string;
  readonly agentId: string;
  readonly config: NatsUplinkConfig;
  /** Returns the sequence of the last acknowledged record; 0 if there is none. */
  readonly acknowledged: () => Promise<number>;
  readonly deps: Deps;
};

type State =
  | { readonly type: 'disconnected'; readonly reason: string }
  | { readonly type: 'connected'; readonly session: NatsSession; readonly bytesMax: number };

/**
 * Publishes each batch as one message, and each alarm again as a message of its own.
 *
 * After each connect the stream is compared with what the uplink needs and with what it has acknowledged. If the stream has lost
 * acknowledged records (a power cut without sync, a restored or deleted stream), `rewindTo` returns where to start again.
 */
export class NatsTransport implements UplinkTransport {
  readonly #options: NatsTransportOptions;
  readonly #subject: string;
  readonly #alarmBase: string;
  readonly #stopping = new AbortController();
  #state: State = { type: 'disconnected', reason: 'Not connected yet' };
  #listener: ((state: ConnectionState) => void) | undefined;
  #running: Promise<void> | undefined;
  #rewindTo: number | undefined;

  constructor(options: NatsTransportOptions) {
    this.#options = options;
    const base = `andon.v1.${token(options.agentId)}`;
    this.#subject = options.config.subject ?? `${base}.records`;
    this.#alarmBase = `${base}.alarm`;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  onConnection(listener: (state: ConnectionState) => void): void {
    this.#listener = listener;
  }

  bytesMax(): number | undefined {
    if (this.#state.type === 'disconnected' || this.#state.bytesMax === Infinity) return undefined;
    const frame = this.#options.config.values === 'columns' ? COLUMNS_MESSAGE_BYTES : 0;
    return this.#state.bytesMax - HEADER_BYTES_MAX - frame;
  }

  rewindTo(): number | undefined {
    return this.#rewindTo;
  }

  rewound(): void {
    this.#rewindTo = undefined;
  }

  async send(batch: RecordBatch, signal: AbortSignal): Promise<void> {
    if (this.#state.type === 'disconnected') throw new UplinkError('uplink-unreachable', this.#state.reason);
    if (this.#rewindTo !== undefined)
      throw new UplinkError('uplink-stream-went-back', 'The stream lost acknowledged records, which are sent again');
    const { session } = this.#state;
    const published = this.#publish(session, batch).catch((error: unknown) => {
      // A connection may be dead although it is open.
      if (errorCode(error) === 'uplink-timeout') void session.close();
      throw error;
    });
    await unlessAborted(published, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #publish(session: NatsSession, batch: RecordBatch): Promise<void> {
    const { first, last, length } = batch;
    const lastRecordId = last.id;
    // The library may hold the message longer than the batch holds its memory.
    const payload = Uint8Array.from(batchPayload(batch, this.#options.config.values));
    const messages = [{ subject: this.#subject, payload, id: `${first.id}+${length}`, lastRecordId }];
    for (const alarm of alarmsIn(batch))
      messages.push({
        subject: `${this.#alarmBase}.${token(alarm.watch ?? '')}`,
        payload: new TextEncoder().encode(JSON.stringify(alarm)),
        id: alarm.id,
        lastRecordId: alarm.id,
      });
    // The batch is last: once it is acknowledged, nothing of it is sent again.
    await Promise.all(messages.toReversed().map((message) => session.publish(message)));
  }

  async #run(): Promise<void> {
    const { config, deps } = this.#options;
    const backoff = new Backoff({ firstMs: config.reconnectMinMs, maxMs: config.reconnectMaxMs, random: deps.random });
    while (!this.#stopping.signal.aborted) {
      const reason = await this.#connectOnce(backoff).catch((error: unknown) => {
        if (error instanceof OperatingError) return error.message;
        return `The connection failed unexpectedly: ${errorMessage(error)}`;
      });
      if (this.#stopping.signal.aborted) return;
      this.#become({ type: 'disconnected', reason });
      await sleep(deps.clock, backoff.nextMs(), this.#stopping.signal);
    }
  }

  /** @returns Why the connection ended. */
  async #connectOnce(backoff: Backoff): Promise<string> {
    const { name, config, deps } = this.#options;
    // Loads the library, which most agents do not need.
    const { NatsSession } = await import('./nats-session.ts');
    const urls = [config.url, ...config.cluster];
    const { signal } = this.#stopping;
    const server = await greetingServer(urls, config.connectTimeoutMs, deps.clock, signal);
    const opening = NatsSession.open(name, server, config);
    // The end of a connection ends its requests. The library cannot stop to connect, so a stop does not wait for it.
    const close = () => opening.then((session) => session.close()).catch(() => undefined);
    const onStop = () => void close();
    signal.addEventListener('abort', onStop);
    try {
      const session = await unlessAborted(opening, signal);
      const state = await session.streamState(this.#subject);
      this.#check(state);
      if (config.durability === 'synced' && config.monitor !== undefined)
        await verifySynced(config.monitor, config.connectTimeoutMs, deps, signal);
      await this.#compare(state);
      if (signal.aborted) return 'The uplink stopped';
      const { max_msg_size: streamMax } = state.facts;
      this.#become({
        type: 'connected',
        session,
        bytesMax: Math.min(session.bytesMax, streamMax > 0 ? streamMax : Infinity),
      });
      backoff.reset();
      return await session.ended();
    } finally {
      signal.removeEventListener('abort', onStop);
      if (!signal.aborted) await close();
    }
  }

  #check({ facts }: StreamState): void {
    const { durability, publishTimeoutMs, retry } = this.#options.config;
    const subjects = [this.#subject, `${this.#alarmBase}.watch`];
    const problem = streamProblem(facts, { subjects, durability, repeatMs: publishTimeoutMs + retry.maxMs });
    if (problem !== undefined) throw new UplinkError('uplink-stream-unfit', problem);
  }

  /** Finds the records that the stream has acknowledged and lost. With live-first the last record is not the newest, and proves nothing. */
  async #compare({ lastRecordId, lastSequence }: StreamState): Promise<void> {
    const { config, acknowledged, deps } = this.#options;
    if (config.order === 'live-first') return;
    const held = lastRecordId === undefined ? undefined : Number(lastRecordId.split('/').at(-1));
    // A stream with messages but none of this agent may have let them expire.
    if (held === undefined && lastSequence > 0) return;
    const acknowledgedSequence = await acknowledged();
    if (acknowledgedSequence <= (held ?? 0)) return;
    this.#rewindTo = (held ?? 0) + 1;
    deps.log.warn(
      { stream: config.stream, held: held ?? 0, acknowledged: acknowledgedSequence },
      'The stream lost records that it had acknowledged. They are sent again',
    );
  }

  #become(state: State): void {
    this.#state = state;
    this.#listener?.(state.type === 'connected' ? { connected: true } : { connected: false, reason: state.reason });
  }
}

type AlarmJson = { readonly id: string; readonly kind: string; readonly watch?: string };

function alarmsIn({ json }: RecordBatch): readonly AlarmJson[] {
  const text = Buffer.from(json.buffer, json.byteOffset, json.length);
  if (!text.includes('"kind":"alarm"')) return [];
  return (JSON.parse(text.toString()) as readonly AlarmJson[]).filter(({ kind }) => kind === 'alarm');
}

/** Returns a name as one token of a subject. */
function token(name: string): string {
  return name === '' ? '_' : name.replace(/[.*>\s$]/gu, '_');
}

function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new UplinkError('uplink-stopped', 'The uplink stopped before the server answered'));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
