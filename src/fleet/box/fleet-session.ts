import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import {
  AuthorizationError,
  connect,
  type NatsConnection,
  PermissionViolationError,
  UserAuthenticationExpiredError,
} from '@nats-io/transport-node';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { readTlsFiles } from '../../platform/tls-files.ts';
import { credentialsLogin } from '../../uplinks/nats/nats-credentials.ts';
import type { FleetConfig } from '../fleet-config.ts';
import { fleetFailure } from '../fleet-errors.ts';
import {
  bucketSubject,
  DESIRED_BUCKET,
  desiredStream,
  FILES_BUCKET,
  inboxPrefix,
  nudgeSubject,
  REPORTED_BUCKET,
} from '../fleet-names.ts';
import type { ReportedState } from '../fleet-states.ts';

/** A dead connection is detected after two missing answers. */
const PING_MS = 30_000;

/** One connection of a box to the NATS server of its fleet. It is not reopened. The library is loaded with this module. */
export class FleetSession implements AsyncDisposable {
  readonly #box: string;
  readonly #connection: NatsConnection;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;

  private constructor(box: string, connection: NatsConnection, client: JetStreamClient, manager: JetStreamManager) {
    this.#box = box;
    this.#connection = connection;
    this.#client = client;
    this.#manager = manager;
  }

  /**
   * @param server URL of a server that answers.
   * @param onNudge Called when the fleet says that the desired state changed.
   * @throws {OperatingError} 'fleet-unreachable', 'fleet-not-admitted', 'secret-missing' (retry).
   */
  static async open(box: string, server: string, config: FleetConfig, onNudge: () => void): Promise<FleetSession> {
    let connection: NatsConnection | undefined;
    try {
      const { credentials, connectTimeoutMs: timeout } = config;
      const files = Object.entries(readTlsFiles(config.tls)).map(([name, pem]) => [name, pem.toString()]);
      const isEncrypted = files.length > 0 || server.startsWith('tls:');
      connection = await connect({
        name: `andon ${box}`,
        servers: server,
        ignoreClusterUpdates: true,
        reconnect: false,
        pingInterval: PING_MS,
        timeout,
        inboxPrefix: inboxPrefix(box),
        ...(isEncrypted ? { tls: Object.fromEntries(files) } : {}),
        ...(credentials === undefined ? {} : { authenticator: credentialsLogin(credentials) }),
      });
      const options = { checkAPI: false, timeout };
      const manager = await jetstreamManager(connection, options);
      connection.subscribe(nudgeSubject(box), { callback: onNudge });
      return new FleetSession(box, connection, jetstream(connection, options), manager);
    } catch (error) {
      await connection?.close();
      throw sessionError(error, server);
    }
  }

  /** Resolves when the connection has ended, with the reason. */
  async ended(): Promise<string> {
    const error = await this.#connection.closed();
    return error === undefined ? 'The server closed the connection' : errorMessage(error);
  }

  /** Returns the desired state as it is stored, not checked; undefined if there is none. @throws {OperatingError} (retry). */
  async desired(): Promise<unknown> {
    try {
      // A direct read of one subject: the only one that this box may read, and no consumer on the server for each box.
      const message = await this.#manager.direct.getMessage(desiredStream(), {
        last_by_subj: bucketSubject(DESIRED_BUCKET, this.#box),
      });
      const isDeleted = message === null || message.header.get('KV-Operation') !== '';
      return isDeleted ? undefined : parsed(message.string());
    } catch (error) {
      throw sessionError(error, 'the desired state');
    }
  }

  /** Stores what the box says of itself. @throws {OperatingError} (retry). */
  async report(state: ReportedState): Promise<void> {
    try {
      await this.#client.publish(bucketSubject(REPORTED_BUCKET, this.#box), JSON.stringify(state));
    } catch (error) {
      throw sessionError(error, 'the reported state');
    }
  }

  /** Returns a file of the object store. @throws {OperatingError} 'fleet-file-missing' (retry), also while it is read. */
  async *file(sha256: string): AsyncGenerator<Uint8Array> {
    // The library ends no read when the connection ends.
    const lost = this.ended().then((reason): never => {
      throw new Error(reason);
    });
    lost.catch(() => undefined);
    try {
      const store = await new Objm(this.#client).open(FILES_BUCKET, false);
      const object = await store.get(sha256);
      if (object === null) throw new Error('it is not there');
      const reader = object.data.getReader();
      for (;;) {
        const { done, value } = await Promise.race([reader.read(), lost]);
        if (done) return;
        yield value;
      }
    } catch (error) {
      const message = `The file ${sha256} of the fleet: ${errorMessage(error)}`;
      throw fleetFailure('fleet-file-missing', message, { cause: error });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#connection.close();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw fleetFailure('fleet-state-invalid', `The desired state is not JSON: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

function sessionError(error: unknown, subject: string): OperatingError {
  if (error instanceof OperatingError) return error;
  const isRefused = [AuthorizationError, UserAuthenticationExpiredError, PermissionViolationError].some(
    (kind) => error instanceof kind || (error instanceof Error && error.cause instanceof kind),
  );
  const options = { cause: error };
  if (isRefused)
    return fleetFailure('fleet-not-admitted', `The fleet refused ${subject}: ${errorMessage(error)}`, options);
  return fleetFailure('fleet-unreachable', `No connection for ${subject}: ${errorMessage(error)}`, options);
}
