import type * as z from 'zod';
import type { StoredRecord } from '../domain/record/record.ts';
import type { Deps } from '../platform/deps.ts';
import type { RecordStore } from './record-store.ts';

/** Brings records to one receiver; what is behind `send` is the only thing that differs between uplinks. */
export interface UplinkTransport extends AsyncDisposable {
  /** Connects; returns at once and goes on by itself. */
  start(): void;
  /**
   * Resolves only when the other side said that it has all of them (PUBACK, 2xx).
   *
   * @throws {OperatingError} disposition 'retry' keeps the batch, 'reject' makes it dead letters. `retryAfterMs`
   *   on the error is obeyed where present.
   */
  send(records: readonly StoredRecord[], signal: AbortSignal): Promise<void>;
  /** Most bytes of records that the receiver said it takes at once; absent or undefined where it said nothing. */
  bytesMax?(): number | undefined;
  /** Tells, now and at each change, how a lasting connection stands; absent where every send connects by itself. */
  onConnection?(listener: (state: ConnectionState) => void): void;
}

export type ConnectionState = { readonly connected: true } | { readonly connected: false; readonly reason: string };

/** An uplink at work: a cursor in the outbox, a transport, a pace. Disposal finishes or gives back the batch in flight. */
export interface Uplink extends AsyncDisposable {
  start(): void;
}

export type UplinkContext<Config> = {
  readonly id: string;
  readonly agentId: string;
  readonly config: Config;
  readonly records: RecordStore;
  readonly deps: Deps;
};

/** A kind of uplink: one line in app/kinds.ts enrols it. */
export type UplinkKind<Config extends { readonly type: string }> = {
  readonly type: Config['type'];
  readonly schema: z.ZodType<Config>;
  create(context: UplinkContext<Config>): Uplink;
};
