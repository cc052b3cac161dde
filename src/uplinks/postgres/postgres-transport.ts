import type { ConnectionState, UplinkTransport } from '../../contracts/uplink.ts';
import type { RecordBatch } from '../../domain/record/record-batch.ts';
import { recordObjects } from '../../domain/record/record-object.ts';
import type { Timer } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode } from '../../platform/errors.ts';
import { ConnectionLoop, unlessAborted } from '../connection-loop.ts';
import { UplinkError } from '../uplink-errors.ts';
import type { PostgresUplinkConfig } from './postgres-config.ts';
import type { PostgresSession } from './postgres-session.ts';

export type PostgresTransportOptions = {
  readonly id: string;
  readonly agentId: string;
  readonly config: PostgresUplinkConfig;
  /** Returns the sequence of the last acknowledged record; 0 if there is none. */
  readonly acknowledged: () => Promise<number>;
  readonly deps: Deps;
};

const MAINTENANCE_MS = 3_600_000;

/**
 * Stores each batch in one transaction. A record that is repeated is stored once.
 *
 * The database keeps the position of the uplink with the records. A database that was restored from an older copy is behind the
 * outbox: `rewindTo` returns where to start again.
 */
export class PostgresTransport implements UplinkTransport {
  readonly #options: PostgresTransportOptions;
  readonly #loop: ConnectionLoop<PostgresSession>;
  #rewindTo: number | undefined;

  constructor(options: PostgresTransportOptions) {
    this.#options = options;
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

  rewindTo(): number | undefined {
    return this.#rewindTo;
  }

  rewound(): void {
    this.#rewindTo = undefined;
  }

  async send(batch: RecordBatch, signal: AbortSignal): Promise<void> {
    const session = this.#loop.connected();
    if (this.#rewindTo !== undefined)
      throw new UplinkError('uplink-stream-went-back', 'The database lost acknowledged records, which are sent again');
    const columns = JSON.parse(batch.columns) as readonly (readonly string[] | null)[];
    const stored = session
      .store({ records: recordObjects(batch), columns }, batch.last.id)
      .catch(async (error: unknown) => {
        // A refused record is not sent again after a reconnect.
        if (errorCode(error) === 'uplink-partly-refused' && batch.length === 1) await session.moveTo(batch.last.id);
        throw error;
      });
    await unlessAborted(stored, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#loop[Symbol.asyncDispose]();
  }

  /** @returns Why the connection ended. */
  async #connectOnce(ready: (session: PostgresSession) => void, signal: AbortSignal): Promise<string> {
    const { id, config, deps } = this.#options;
    // Loads the library, which most agents do not need.
    const { PostgresSession } = await import('./postgres-session.ts');
    const session = new PostgresSession(`uplink/${id}`, config, deps);
    const close = () => session.close();
    signal.addEventListener('abort', close);
    let maintenance: Timer | undefined;
    try {
      if (signal.aborted) return 'The uplink stopped';
      await session.open();
      await this.#compare(session);
      const maintain = () => {
        maintenance = deps.clock.setTimer(maintain, MAINTENANCE_MS, { background: true });
        void this.#maintain(session);
      };
      maintain();
      ready(session);
      return await session.ended();
    } finally {
      maintenance?.cancel();
      signal.removeEventListener('abort', close);
      session.close();
    }
  }

  async #maintain(session: PostgresSession): Promise<void> {
    const { id, deps } = this.#options;
    try {
      const days = await session.maintain();
      if (days > 0) deps.log.info({ uplink: id, days }, 'The oldest days of the database were removed.');
    } catch (error) {
      deps.log.warn(
        { uplink: id, code: errorCode(error), err: error },
        'The partitions of the database could not be kept.',
      );
    }
  }

  /** Finds the records that the database has acknowledged and lost. With live-first the last record is not the newest, and proves nothing. */
  async #compare(session: PostgresSession): Promise<void> {
    const { id, agentId, config, acknowledged, deps } = this.#options;
    if (config.order === 'live-first') return;
    const held = await session.lastSequence(agentId);
    const acknowledgedSequence = await acknowledged();
    if (acknowledgedSequence <= held) return;
    this.#rewindTo = held + 1;
    deps.log.warn(
      { uplink: id, held, acknowledged: acknowledgedSequence },
      'The database lacks records that were acknowledged. They are sent again',
    );
  }
}
