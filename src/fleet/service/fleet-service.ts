import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import type { Deps } from '../../platform/deps.ts';
import { errorMessage } from '../../platform/errors.ts';
import { readTlsFiles } from '../../platform/tls-files.ts';
import { fleetFailure } from '../fleet-errors.ts';
import { BOX_NAME } from '../fleet-names.ts';
import type { DesiredState, ReportedState } from '../fleet-states.ts';
import { type Box, type BoxLabels, BoxRegister } from './box-register.ts';
import { type DesiredChange, FleetBuckets } from './fleet-buckets.ts';
import { accountToken, boxToken, type FleetKeys, serviceCredentials } from './fleet-keys.ts';
import type { FleetServiceConfig } from './fleet-service-config.ts';

/** Subject of the system account on which all servers take a new token of an account. */
const CLAIMS_SUBJECT = '$SYS.REQ.CLAIMS.UPDATE';
const CLAIMS_TIMEOUT_MS = 10_000;

/** A box with what it should have and what it says of itself. */
export type BoxStatus = Box & {
  readonly desired: DesiredState | undefined;
  readonly reported: ReportedState | undefined;
};

/** What a box needs to connect. */
export type Enrolled = { readonly box: string; readonly url: string; readonly token: string };

/**
 * The boxes of a fleet: enrolment, desired states and reports. It has no state of its own: all of it is on the NATS server, so
 * that two services can run.
 */
export class FleetService implements AsyncDisposable {
  readonly #config: FleetServiceConfig;
  readonly #keys: FleetKeys;
  readonly #connection: NatsConnection;
  readonly #system: NatsConnection;
  readonly #boxes: BoxRegister;
  readonly buckets: FleetBuckets;

  private constructor(
    settings: { readonly config: FleetServiceConfig; readonly keys: FleetKeys },
    connections: { readonly fleet: NatsConnection; readonly system: NatsConnection },
    boxes: BoxRegister,
    buckets: FleetBuckets,
  ) {
    this.#config = settings.config;
    this.#keys = settings.keys;
    this.#connection = connections.fleet;
    this.#system = connections.system;
    this.#boxes = boxes;
    this.buckets = buckets;
  }

  /** @throws {OperatingError} 'fleet-unreachable' (retry). */
  static async open(config: FleetServiceConfig, keys: FleetKeys, deps: Deps): Promise<FleetService> {
    await using stack = new AsyncDisposableStack();
    try {
      const open = async (account: 'fleet' | 'system') =>
        stack.adopt(await connection(config, await serviceCredentials(keys, account)), (opened) => opened.close());
      const [fleet, system] = [await open('fleet'), await open('system')];
      const { replicas } = config.nats;
      const boxes = await BoxRegister.open(fleet, { replicas }, deps.clock);
      const buckets = await FleetBuckets.open(fleet, { replicas });
      const service = new FleetService({ config, keys }, { fleet, system }, boxes, buckets);
      // A server that lost its folder has the account of the beginning, without revocations.
      await service.#publishAccount();
      stack.move();
      return service;
    } catch (error) {
      const message = `No connection to the NATS server ${config.nats.url}: ${errorMessage(error)}`;
      throw fleetFailure('fleet-unreachable', message, { cause: error });
    }
  }

  /** Returns all boxes, or those with these labels. */
  async boxes(labels: BoxLabels = {}): Promise<readonly BoxStatus[]> {
    const known = (await this.#boxes.list()).filter((box) =>
      Object.entries(labels).every(([name, value]) => box.labels[name] === value),
    );
    const [desired, reported] = [await this.buckets.allDesired(), await this.buckets.allReported()];
    return known.map((box) => ({ ...box, desired: desired.get(box.name), reported: reported.get(box.name) }));
  }

  /** @throws {OperatingError} 'fleet-box-unknown' (reject). */
  async box(name: string): Promise<BoxStatus> {
    const box = await this.#boxes.find(name);
    if (box === undefined) throw fleetFailure('fleet-box-unknown', `The fleet has no box ${name}`);
    const [desired, reported] = [await this.buckets.desired(name), await this.buckets.reported(name)];
    return { ...box, desired, reported };
  }

  /** Returns a token with which a box can be enrolled once. @throws {OperatingError} 'fleet-state-invalid' for a wrong name. */
  async newToken(name: string, validMs: number): Promise<{ readonly token: string; readonly expiresMs: number }> {
    checkName(name);
    return this.#boxes.newToken(name, validMs);
  }

  /** Gives a box its credentials. @param publicKey Of the nkey that the box has made; its seed stays on the box. */
  async enrol(token: string, name: string, publicKey: string): Promise<Enrolled> {
    await this.#boxes.enrol(token, name, publicKey);
    await this.#publishAccount();
    return {
      box: name,
      url: this.#config.boxUrl ?? this.#config.nats.url,
      token: await boxToken(this.#keys, { name, publicKey }),
    };
  }

  /** Ends the credentials and the connection of a box. @throws {OperatingError} 'fleet-box-unknown' (reject). */
  async revoke(name: string): Promise<void> {
    await this.#boxes.revoke(name);
    await this.#publishAccount();
  }

  async label(name: string, labels: BoxLabels): Promise<void> {
    checkName(name);
    await this.#boxes.label(name, labels);
  }

  /** @returns The generation. @throws {OperatingError} 'fleet-box-unknown' (reject). */
  async setDesired(name: string, change: DesiredChange): Promise<number> {
    await this.box(name);
    return this.buckets.setDesired(name, change);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#connection.close(), this.#system.close()]);
  }

  async #publishAccount(): Promise<void> {
    const token = await accountToken(this.#keys, await this.#boxes.revocations());
    const answer = await this.#system.request(CLAIMS_SUBJECT, token, { timeout: CLAIMS_TIMEOUT_MS });
    const { error } = answer.json<{ readonly error?: { readonly description?: string } }>();
    if (error !== undefined)
      throw fleetFailure(
        'fleet-unreachable',
        `The NATS server refused the account: ${error.description ?? 'no reason'}`,
      );
  }
}

function checkName(name: string): void {
  if (BOX_NAME.test(name)) return;
  throw fleetFailure('fleet-state-invalid', `'${name}' is no name of a box: expected 1 to 64 letters, digits, - and _`);
}

function connection({ nats }: FleetServiceConfig, credentials: Uint8Array): Promise<NatsConnection> {
  const files = Object.entries(readTlsFiles(nats.tls)).map(([name, pem]) => [name, pem.toString()]);
  return connect({
    name: 'andon fleet',
    servers: nats.url,
    maxReconnectAttempts: -1,
    authenticator: credsAuthenticator(credentials),
    ...(files.length > 0 || nats.url.startsWith('tls:') ? { tls: Object.fromEntries(files) } : {}),
  });
}
