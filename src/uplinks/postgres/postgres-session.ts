import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Client } from 'pg';
import { sleep } from '../../platform/clock.ts';
import { readSecret } from '../../platform/config-fields.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorMessage } from '../../platform/errors.ts';
import { readTlsFiles } from '../../platform/tls-files.ts';
import { migrate } from '../../protocols/postgres/migrate.ts';
import type { RecordMessage } from '../../protocols/postgres/record-rows.ts';
import { RecordWriter } from '../../protocols/postgres/record-writer.ts';
import { unlessAborted } from '../connection-loop.ts';
import { UplinkError } from '../uplink-errors.ts';
import { databaseAddress, type PostgresUplinkConfig } from './postgres-config.ts';
import { postgresError } from './postgres-error.ts';

/** Least time for a change of the tables, which may have to wait for the one of another box. */
const MIGRATION_MS = 60_000;

/** One connection to a PostgreSQL server. It is not reopened. The library is loaded with this module. */
export class PostgresSession {
  readonly #client: Client;
  readonly #socket: Socket;
  readonly #writer: RecordWriter;
  readonly #config: PostgresUplinkConfig;
  readonly #deps: Deps;
  readonly #ended = Promise.withResolvers<string>();

  /** Opens no connection yet. @throws {OperatingError} (retry) A secret or a file cannot be read. */
  constructor(name: string, config: PostgresUplinkConfig, deps: Deps) {
    this.#config = config;
    this.#deps = deps;
    this.#socket = new Socket();
    this.#client = new Client({
      ...checkedOptions(config),
      application_name: `andon ${name}`,
      // With a socket of its own a session can end at any time, also before its login.
      stream: () => this.#socket,
    });
    this.#writer = new RecordWriter(this.#client, config.schema);
    this.#client.on('error', (error) => this.#end(errorMessage(error)));
    this.#client.on('end', () => this.#end('The server closed the connection'));
  }

  /**
   * Connects, checks the server, and creates or updates the tables.
   * @throws {OperatingError} (retry) The server cannot be reached, refuses the login, or does not fit.
   */
  async open(): Promise<void> {
    const { schema, connectTimeoutMs, timeoutMs, durability } = this.#config;
    await this.#call(() => this.#client.connect(), connectTimeoutMs, 'uplink-connect-timeout');
    if (durability === 'synced') await this.#call(() => this.#requireSync());
    await this.#call(() => migrate(this.#client, schema), Math.max(timeoutMs, MIGRATION_MS));
    await this.#keepPartitions();
  }

  /** Resolves when the connection has ended, with the reason. */
  ended(): Promise<string> {
    return this.#ended.promise;
  }

  /** Creates the partitions of the next days, and removes those that are older than `retention`. @returns Number of removed days. */
  async maintain(): Promise<number> {
    await this.#keepPartitions();
    const { retentionMs } = this.#config;
    if (retentionMs === undefined) return 0;
    return this.#call(() => this.#writer.partitions.dropBefore(this.#deps.clock.nowMs() - retentionMs));
  }

  /** Resolves when the records are committed. @throws {OperatingError} */
  store(message: RecordMessage, last: string): Promise<void> {
    return this.#call(() => this.#writer.store([message], this.#deps.clock.nowMs(), last));
  }

  /** Stores that records up to an id are not sent again. @throws {OperatingError} */
  moveTo(last: string): Promise<void> {
    return this.#call(() => this.#writer.moveTo(last));
  }

  /** Returns the sequence of the last record that was stored for a box; 0 if none. @throws {OperatingError} */
  lastSequence(box: string): Promise<number> {
    return this.#call(() => this.#writer.lastSequence(box));
  }

  /** Ends the connection immediately. Calls in progress fail. */
  close(): void {
    this.#end('The uplink stopped');
  }

  async #requireSync(): Promise<void> {
    const { rows } = await this.#client.query<{ readonly name: string; readonly setting: string }>(
      `SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit')`,
    );
    const settings = new Map(rows.map(({ name, setting }) => [name, setting]));
    if (settings.get('fsync') === 'off')
      throw new UplinkError(
        'uplink-not-durable',
        'The server has fsync: off, so that a power cut destroys its data, but durability: synced is declared. Set fsync: on at the server, or declare durability: none',
      );
    // Any user may set it. The other values of it wait for the disk of the server.
    if (settings.get('synchronous_commit') === 'off') await this.#client.query('SET synchronous_commit TO on');
  }

  async #keepPartitions(): Promise<void> {
    await this.#call(() => this.#writer.partitions.createAhead(this.#deps.clock.nowMs()));
  }

  /** Ends the connection if the server does not answer in time. */
  async #call<T>(
    work: () => Promise<T>,
    timeoutMs = this.#config.timeoutMs,
    code: 'uplink-timeout' | 'uplink-connect-timeout' = 'uplink-timeout',
  ): Promise<T> {
    const done = new AbortController();
    const late = new AbortController();
    void sleep(this.#deps.clock, timeoutMs, done.signal).then(() => {
      if (!done.signal.aborted) late.abort();
    });
    try {
      return await unlessAborted(work(), late.signal);
    } catch (error) {
      if (!late.signal.aborted) throw postgresError(error);
      this.#end('The server did not answer');
      throw new UplinkError(code, `The database did not answer within ${timeoutMs} ms`, { cause: error });
    } finally {
      done.abort();
    }
  }

  #end(reason: string): void {
    this.#ended.resolve(reason);
    this.#socket.destroy();
  }
}

/** @throws {OperatingError} (retry) A secret or a file cannot be read. */
function checkedOptions(config: PostgresUplinkConfig) {
  try {
    return clientOptions(config);
  } catch (error) {
    throw postgresError(error);
  }
}

function clientOptions(config: PostgresUplinkConfig) {
  const { host, port, database, sslMode } = databaseAddress(config.url);
  const { username, password, timeoutMs } = config;
  // pg does not pass on the host of an address without a name, which the certificate must have.
  const ssl: ConnectionOptions = {
    ...readTlsFiles(config.tls),
    host,
    rejectUnauthorized: sslMode === 'verify-full',
  };
  return {
    host,
    port,
    database,
    user: username,
    ssl: sslMode === 'disable' ? false : ssl,
    keepAlive: true,
    // The server gives up a statement too, so that a repeated batch does not wait for the one before.
    statement_timeout: timeoutMs,
    ...(password === undefined ? {} : { password: readSecret(password) }),
  };
}
