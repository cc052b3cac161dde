import type { ConnectionState, UplinkTransport } from '../../contracts/uplink.ts';
import type { RecordBatch } from '../../domain/record/record-batch.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode } from '../../platform/errors.ts';
import { ConnectionLoop, unlessAborted } from '../connection-loop.ts';
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

/** `bytesMax`: largest message, headers included. */
type Connection = { readonly session: NatsSession; readonly bytesMax: number };

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
  readonly #loop: ConnectionLoop<Connection>;
  #rewindTo: number | undefined;

  constructor(options: NatsTransportOptions) {
    this.#options = options;
    const base = `andon.v1.${token(options.agentId)}`;
    this.#subject = options.config.subject ?? `${base}.records`;
    this.#alarmBase = `${base}.alarm`;
    const { reconnectMinMs, reconnectMaxMs } = options.config;
    this.#loop = new ConnectionLoop({
      reconnectMinMs,
      reconnectMaxMs,
      connectOnce: (ready, signal) => this.#connectOnce(ready, signal),
      deps: options.deps,
    });
  }

  start(): void {
    this.#loop.start();
  }

  onConnection(listener: (state: ConnectionState) => void): void {
    this.#loop.onConnection(listener);
  }

  bytesMax(): number | undefined {
    const { bytesMax = Infinity } = this.#loop.session ?? {};
    if (bytesMax === Infinity) return undefined;
    const frame = this.#options.config.values === 'columns' ? COLUMNS_MESSAGE_BYTES : 0;
    return bytesMax - HEADER_BYTES_MAX - frame;
  }

  rewindTo(): number | undefined {
    return this.#rewindTo;
  }

  rewound(): void {
    this.#rewindTo = undefined;
  }

  async send(batch: RecordBatch, signal: AbortSignal): Promise<void> {
    const { session } = this.#loop.connected();
    if (this.#rewindTo !== undefined)
      throw new UplinkError('uplink-stream-went-back', 'The stream lost acknowledged records, which are sent again');
    const published = this.#publish(session, batch).catch((error: unknown) => {
      // A connection may be dead although it is open.
      if (errorCode(error) === 'uplink-timeout') void session.close();
      throw error;
    });
    await unlessAborted(published, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#loop[Symbol.asyncDispose]();
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

  /** @returns Why the connection ended. */
  async #connectOnce(ready: (connection: Connection) => void, signal: AbortSignal): Promise<string> {
    const { name, agentId, config, deps } = this.#options;
    // Loads the library, which most agents do not need.
    const { NatsSession } = await import('./nats-session.ts');
    const urls = [config.url, ...config.cluster];
    const server = await greetingServer(urls, config.connectTimeoutMs, deps.clock, signal);
    const opening = NatsSession.open({ name, agent: token(agentId) }, server, config);
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
      ready({
        session,
        bytesMax: Math.min(session.bytesMax, streamMax > 0 ? streamMax : Infinity),
      });
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
