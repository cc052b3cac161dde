import {
  JetStreamApiCodes,
  JetStreamApiError,
  jetstream,
  type JetStreamClient,
  jetstreamManager,
  type JetStreamManager,
} from '@nats-io/jetstream';
import {
  type Authenticator,
  AuthorizationError,
  connect,
  headers,
  type NatsConnection,
  nkeyAuthenticator,
  PermissionViolationError,
  RequestError,
  TimeoutError,
  tokenAuthenticator,
  UserAuthenticationExpiredError,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { readSecret } from '../../platform/config-fields.ts';
import { readTlsFiles, TlsFileError } from '../../platform/tls-files.ts';
import { UplinkError } from '../uplink-errors.ts';
import { credentialsLogin } from './nats-credentials.ts';
import type { NatsUplinkConfig } from './nats-config.ts';
import type { StreamFacts } from './stream-problem.ts';

/** State of a stream at the start of a connection. */
export type StreamState = {
  readonly facts: StreamFacts;
  /** Number of the last message that the stream stored, of any subject. */
  readonly lastSequence: number;
  /** Id of the last record that the stream holds on the subject of the batches; undefined if it holds none. */
  readonly lastRecordId: string | undefined;
};

export type NatsMessage = {
  readonly subject: string;
  readonly payload: Uint8Array;
  /** Nats-Msg-Id. */
  readonly id: string;
  readonly lastRecordId: string;
};

/** Header with the id of the last record of a batch. */
const LAST_RECORD = 'Andon-Last-Record';
/** A dead connection is detected after two missing answers. */
const PING_MS = 10_000;
const MESSAGE_TOO_LARGE = 10_054;

/** One connection to a NATS server. It is not reopened. The library is loaded with this module. */
export class NatsSession {
  readonly #connection: NatsConnection;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #config: NatsUplinkConfig;

  private constructor(connection: NatsConnection, manager: JetStreamManager, config: NatsUplinkConfig) {
    this.#connection = connection;
    this.#client = jetstream(connection);
    this.#manager = manager;
    this.#config = config;
  }

  /**
   * @param agent Id of the agent as a token of subjects.
   * @param server URL of a server that answers.
   * @throws {OperatingError} (retry) The server cannot be reached or refuses the login, or a file cannot be read.
   */
  static async open(
    { name, agent }: { readonly name: string; readonly agent: string },
    server: string,
    config: NatsUplinkConfig,
  ): Promise<NatsSession> {
    let connection: NatsConnection | undefined;
    try {
      const tls = tlsOptions(server, config);
      const authenticator = authenticatorOf(config);
      connection = await connect({
        name,
        servers: server,
        ignoreClusterUpdates: true,
        timeout: config.connectTimeoutMs,
        // A server can let an agent read its own answers only.
        inboxPrefix: `_INBOX.${agent}`,
        reconnect: false,
        pingInterval: PING_MS,
        ...(tls === undefined ? {} : { tls }),
        ...(authenticator === undefined ? {} : { authenticator }),
      });
      const manager = await jetstreamManager(connection, { checkAPI: false, timeout: config.connectTimeoutMs });
      return new NatsSession(connection, manager, config);
    } catch (error) {
      await connection?.close();
      throw natsError(error, server);
    }
  }

  /** Largest message of the server, headers included. */
  get bytesMax(): number {
    return this.#connection.info?.max_payload ?? Infinity;
  }

  /** Resolves when the connection has ended, with the reason. */
  async ended(): Promise<string> {
    const error = await this.#connection.closed();
    return error === undefined ? 'The server closed the connection' : errorMessage(error);
  }

  /** @throws {UplinkError} (retry) The stream is missing, or may not be read. */
  async streamState(subject: string): Promise<StreamState> {
    const { stream } = this.#config;
    try {
      const { config, state } = await this.#manager.streams.info(stream);
      const query = { last_by_subj: subject };
      // A permission for direct reads can name the subject.
      const last = config.allow_direct
        ? await this.#manager.direct.getMessage(stream, query)
        : await this.#manager.streams.getMessage(stream, query);
      const lastRecordId = last?.header.get(LAST_RECORD);
      return {
        facts: config,
        lastSequence: state.last_seq,
        lastRecordId: lastRecordId === '' ? undefined : lastRecordId,
      };
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound)
        throw new UplinkError('uplink-stream-unfit', `The stream ${stream} does not exist. Create it on the server`, {
          cause: error,
        });
      throw natsError(error, `the configuration of the stream ${stream}`);
    }
  }

  /** Resolves when the stream has acknowledged the message. @throws {UplinkError} */
  async publish({ subject, payload, id, lastRecordId }: NatsMessage): Promise<void> {
    const { stream, publishTimeoutMs } = this.#config;
    const fields = headers();
    fields.set(LAST_RECORD, lastRecordId);
    try {
      await this.#client.publish(subject, payload, {
        msgID: id,
        timeout: publishTimeoutMs,
        headers: fields,
        expect: { streamName: stream },
      });
    } catch (error) {
      throw natsError(error, `a batch on ${subject}`);
    }
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

function tlsOptions(server: string, { url, cluster, tls }: NatsUplinkConfig): Record<string, string> | undefined {
  const files = Object.entries(readTlsFiles(tls)).map(([name, pem]) => [name, pem.toString()]);
  const isRequired = [url, ...cluster].some((one) => one.startsWith('tls:'));
  // nats.js 3.4 sets no name for an IP address, and Node would expect a certificate of localhost.
  const host = new URL(server).hostname.replace(/^\[(.*)\]$/, '$1');
  return files.length > 0 || isRequired ? { ...Object.fromEntries(files), host } : undefined;
}

function authenticatorOf({
  username,
  password,
  token,
  nkey,
  credentials,
}: NatsUplinkConfig): Authenticator | undefined {
  const bytes = (text: string) => new TextEncoder().encode(text);
  if (username !== undefined && password !== undefined)
    return usernamePasswordAuthenticator(username, readSecret(password));
  if (token !== undefined) return tokenAuthenticator(readSecret(token));
  if (nkey !== undefined) return nkeyAuthenticator(bytes(readSecret(nkey).trim()));
  return credentials === undefined ? undefined : credentialsLogin(credentials);
}

function natsError(error: unknown, subject: string): OperatingError {
  if (error instanceof OperatingError) return error;
  const cause = { cause: error };
  const text = errorMessage(error);
  if (error instanceof TlsFileError) return new UplinkError('uplink-tls-file', text, cause);
  const isRefused = [AuthorizationError, UserAuthenticationExpiredError, PermissionViolationError].some(
    (kind) => error instanceof kind || (error instanceof Error && error.cause instanceof kind),
  );
  if (isRefused) return new UplinkError('uplink-not-admitted', `The server refused ${subject}: ${text}`, cause);
  if (error instanceof JetStreamApiError) {
    const { err_code: code } = error.apiError();
    if (code === MESSAGE_TOO_LARGE) return new UplinkError('uplink-batch-too-large', `${subject}: ${text}`, cause);
    return new UplinkError('uplink-receiver-failed', `The server refused ${subject}: ${text} (${code})`, cause);
  }
  if (isWithoutResponder(error) || (error instanceof Error && isWithoutResponder(error.cause)))
    return new UplinkError('uplink-receiver-failed', `No stream of the server takes ${subject}: ${text}`, cause);
  if (error instanceof TimeoutError)
    return new UplinkError('uplink-timeout', `The server did not answer in time for ${subject}`, cause);
  return new UplinkError('uplink-unreachable', `No connection for ${subject}: ${text}`, cause);
}

function isWithoutResponder(error: unknown): boolean {
  return error instanceof RequestError && error.isNoResponders();
}
