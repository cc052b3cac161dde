import { randomBytes } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import * as z from 'zod';
import type { Clock } from '../../platform/clock.ts';
import { sha256 } from '../../platform/sha256.ts';
import { fleetFailure } from '../fleet-errors.ts';
import { bucketValues } from './bucket-values.ts';
import type { Revocations } from './fleet-keys.ts';

const BOXES_BUCKET = 'andon-boxes';
const ENROLMENTS_BUCKET = 'andon-enrolments';
const TOKEN_BYTES = 32;

const labelsSchema = z.record(z.string().regex(/^[\w.-]{1,64}$/), z.string().regex(/^[\w.:-]{0,128}$/));
/** Labels of boxes, which rollouts select by: `{ site: lyon }`. */
export const boxLabels = labelsSchema;
export type BoxLabels = Readonly<z.infer<typeof labelsSchema>>;

const boxSchema = z.object({
  labels: labelsSchema,
  enrolled_ms: z.number().optional(),
  /** Public key of its credentials; absent if it has none. */
  public_key: z.string().optional(),
  /** Former keys, with the time of their revocation. */
  revoked: z.record(z.string(), z.number()),
});
type StoredBox = z.infer<typeof boxSchema>;

/** A box that the fleet knows. */
export type Box = {
  readonly name: string;
  readonly labels: BoxLabels;
  /** Time when it got its credentials; undefined if it has none. */
  readonly enrolledMs: number | undefined;
};

const enrolmentSchema = z.object({ box: z.string(), expires_ms: z.number() });

/** The boxes of a fleet and their credentials, on its NATS server. */
export class BoxRegister {
  readonly #boxes: KV;
  readonly #enrolments: KV;
  readonly #clock: Clock;

  private constructor(boxes: KV, enrolments: KV, clock: Clock) {
    this.#boxes = boxes;
    this.#enrolments = enrolments;
    this.#clock = clock;
  }

  /** Opens the buckets, and creates those that do not exist. */
  static async open(
    connection: NatsConnection,
    { replicas }: { readonly replicas: number },
    clock: Clock,
  ): Promise<BoxRegister> {
    const values = new Kvm(jetstream(connection));
    const options = { replicas, history: 1 };
    return new BoxRegister(
      await values.create(BOXES_BUCKET, options),
      await values.create(ENROLMENTS_BUCKET, options),
      clock,
    );
  }

  async list(): Promise<readonly Box[]> {
    const boxes = await bucketValues(this.#boxes);
    return boxes
      .map(({ key, json }) => boxOf(key, boxSchema.parse(json)))
      .toSorted((a, b) => a.name.localeCompare(b.name));
  }

  /** @returns Undefined if the fleet does not know the box. */
  async find(name: string): Promise<Box | undefined> {
    const entry = await this.#boxes.get(name);
    return entry?.operation === 'PUT' ? boxOf(name, boxSchema.parse(entry.json())) : undefined;
  }

  /** Returns a token with which a box can be enrolled once. Only its hash is stored. */
  async newToken(box: string, validMs: number): Promise<{ readonly token: string; readonly expiresMs: number }> {
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    const expiresMs = Math.round(this.#clock.nowMs() + validMs);
    await this.#enrolments.put(sha256(Buffer.from(token)), JSON.stringify({ box, expires_ms: expiresMs }));
    return { token, expiresMs };
  }

  /**
   * Uses up a token, and gives its box another key. The former key no longer counts.
   *
   * @throws {OperatingError} 'fleet-token-invalid' (reject): it was used, is unknown, has expired or is for another box.
   */
  async enrol(token: string, box: string, publicKey: string): Promise<void> {
    const key = sha256(Buffer.from(token));
    const entry = await this.#enrolments.get(key);
    if (entry?.operation !== 'PUT') throw invalidToken('is unknown, or was used before');
    const { box: owner, expires_ms: expiresMs } = enrolmentSchema.parse(entry.json());
    if (owner !== box) throw invalidToken(`is for the box ${owner}, not for ${box}: see agent.id`);
    // The revision: two requests with one token at the same time must not both succeed.
    await this.#enrolments.delete(key, { previousSeq: entry.revision }).catch((error: unknown) => {
      throw invalidToken('was used before', { cause: error });
    });
    if (expiresMs < this.#clock.nowMs()) throw invalidToken(`has expired at ${new Date(expiresMs).toISOString()}`);
    await this.#change(box, (former) => ({
      ...withoutKey(former, this.#clock.nowMs()),
      public_key: publicKey,
      enrolled_ms: Math.round(this.#clock.nowMs()),
    }));
  }

  /** Ends the credentials of a box. @throws {OperatingError} 'fleet-box-unknown' (reject). */
  async revoke(name: string): Promise<void> {
    await this.#known(name);
    await this.#change(name, (box) => withoutKey(box, this.#clock.nowMs()));
  }

  /** Replaces the labels of a box. The box may be enrolled later. */
  async label(name: string, labels: BoxLabels): Promise<void> {
    await this.#change(name, (box) => ({ ...box, labels: { ...labels } }));
  }

  async revocations(): Promise<Revocations> {
    const boxes = await bucketValues(this.#boxes);
    return new Map(boxes.flatMap(({ json }) => Object.entries(boxSchema.parse(json).revoked)));
  }

  async #known(name: string): Promise<void> {
    if ((await this.find(name)) === undefined) throw fleetFailure('fleet-box-unknown', `The fleet has no box ${name}`);
  }

  async #change(name: string, change: (box: StoredBox) => StoredBox): Promise<void> {
    const entry = await this.#boxes.get(name);
    const former = entry?.operation === 'PUT' ? boxSchema.parse(entry.json()) : { labels: {}, revoked: {} };
    await this.#boxes.put(name, JSON.stringify(change(former)), { previousSeq: entry?.revision ?? 0 });
  }
}

function boxOf(name: string, { labels, enrolled_ms, public_key }: StoredBox): Box {
  return { name, labels, enrolledMs: public_key === undefined ? undefined : enrolled_ms };
}

function withoutKey({ public_key, revoked, ...box }: StoredBox, nowMs: number): StoredBox {
  return { ...box, revoked: public_key === undefined ? revoked : { ...revoked, [public_key]: Math.round(nowMs) } };
}

function invalidToken(why: string, options?: ErrorOptions): Error {
  return fleetFailure(
    'fleet-token-invalid',
    `The token ${why}. Ask the fleet for another one: andon fleet enrol BOX`,
    options,
  );
}
