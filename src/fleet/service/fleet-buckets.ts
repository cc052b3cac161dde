import { Readable } from 'node:stream';
import { StorageType, jetstream, type JetStreamClient } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { type ObjectStore, Objm } from '@nats-io/obj';
import type { NatsConnection } from '@nats-io/transport-node';
import { sha256 } from '../../platform/sha256.ts';
import { fleetFailure } from '../fleet-errors.ts';
import { bucketValues } from './bucket-values.ts';
import { DESIRED_BUCKET, FILE_BYTES_MAX, FILES_BUCKET, nudgeSubject, REPORTED_BUCKET } from '../fleet-names.ts';
import { type DesiredState, desiredStateSchema, type ReportedState, reportedStateSchema } from '../fleet-states.ts';

/** Former desired states that the server keeps for each box. */
const HISTORY = 10;

/** A desired state before it has a generation. */
export type DesiredChange = Omit<DesiredState, 'generation'>;

export type BucketSettings = {
  /** Copies of each bucket in a cluster of NATS servers. */
  readonly replicas: number;
};

/** Desired states, reported states and files of a fleet on its NATS server. */
export class FleetBuckets {
  readonly #connection: NatsConnection;
  readonly #desired: KV;
  readonly #reported: KV;
  readonly #files: ObjectStore;

  private constructor(connection: NatsConnection, desired: KV, reported: KV, files: ObjectStore) {
    this.#connection = connection;
    this.#desired = desired;
    this.#reported = reported;
    this.#files = files;
  }

  /** Opens the buckets, and creates those that do not exist. */
  static async open(connection: NatsConnection, { replicas }: BucketSettings): Promise<FleetBuckets> {
    const client: JetStreamClient = jetstream(connection);
    const [values, objects] = [new Kvm(client), new Objm(client)];
    const options = { replicas, storage: StorageType.File };
    return new FleetBuckets(
      connection,
      // Boxes read their value directly, so that none needs a consumer.
      await values.create(DESIRED_BUCKET, { ...options, history: HISTORY, allow_direct: true }),
      await values.create(REPORTED_BUCKET, { ...options, history: 1, allow_direct: true }),
      await objects.create(FILES_BUCKET, options),
    );
  }

  /** Stores a file unless it is there. @returns Its SHA-256, which is its name. */
  async putFile(bytes: Uint8Array): Promise<string> {
    if (bytes.length > FILE_BYTES_MAX)
      throw fleetFailure('fleet-file-too-large', `The file has ${bytes.length} bytes, ${FILE_BYTES_MAX} are possible`);
    const name = sha256(bytes);
    const present = await this.#files.info(name);
    if (present === null || present.deleted) await this.#files.put({ name }, Readable.toWeb(Readable.from([bytes])));
    return name;
  }

  /**
   * Sets what a box should have, and tells the box if it is connected.
   *
   * @returns The generation of the new state.
   */
  async setDesired(box: string, change: DesiredChange): Promise<number> {
    const entry = await this.#desired.get(box);
    const generation = (entry === null ? 0 : generationOf(entry.json())) + 1;
    const state = JSON.stringify({ generation, ...change } satisfies DesiredState);
    // The revision refuses a change that another person makes at the same time.
    await this.#desired.put(box, state, { previousSeq: entry?.revision ?? 0 });
    this.#connection.publish(nudgeSubject(box), '');
    return generation;
  }

  /** Returns what a box should have; undefined if nothing was set. */
  async desired(box: string): Promise<DesiredState | undefined> {
    const entry = await this.#desired.get(box);
    return entry?.operation === 'PUT' ? desiredStateSchema.parse(entry.json()) : undefined;
  }

  /** Returns the desired states of all boxes. */
  async allDesired(): Promise<ReadonlyMap<string, DesiredState>> {
    return new Map((await bucketValues(this.#desired)).map(({ key, json }) => [key, desiredStateSchema.parse(json)]));
  }

  /** Returns the reports of all boxes that have sent a valid one. */
  async allReported(): Promise<ReadonlyMap<string, ReportedState>> {
    const reports = (await bucketValues(this.#reported)).map(({ key, json }) => [key, reportOf(json)] as const);
    return new Map(reports.flatMap(([key, report]) => (report === undefined ? [] : [[key, report]])));
  }

  /** Returns what a box says of itself; undefined if it has not reported. */
  async reported(box: string): Promise<ReportedState | undefined> {
    const entry = await this.#reported.get(box);
    return entry?.operation === 'PUT' ? reportOf(entry.json()) : undefined;
  }
}

/** A report comes from a box. One that is wrong must not hide the others. */
function reportOf(json: unknown): ReportedState | undefined {
  return reportedStateSchema.safeParse(json).data;
}

function generationOf(stored: unknown): number {
  const { generation } = stored as { readonly generation?: unknown };
  return typeof generation === 'number' ? generation : 0;
}
