import type * as z from 'zod';
import type { RecordBatch } from '../domain/record/record-batch.ts';
import type { Deps } from '../platform/deps.ts';
import type { UplinkRecords } from './record-store.ts';

/** Sends records to one receiver. Uplinks differ only in `send`. */
export interface UplinkTransport extends AsyncDisposable {
  /** Starts to connect. Returns immediately; reconnects automatically. */
  start(): void;
  /**
   * Resolves when the receiver has acknowledged the batch (PUBACK, 2xx).
   *
   * @throws {OperatingError} disposition 'retry' keeps the batch, 'reject' makes it dead letters. `retryAfterMs`
   *   on the error is obeyed if present.
   */
  send(batch: RecordBatch, signal: AbortSignal): Promise<void>;
  /** Maximum bytes of the JSON of a batch as announced by the receiver; absent or undefined if not announced. */
  bytesMax?(): number | undefined;
  /** Reports the state of a persistent connection, now and at each change; absent if every send opens its own connection. */
  onConnection?(listener: (state: ConnectionState) => void): void;
  /** Sequence to send again from, if the receiver lost acknowledged records. Until `rewound` is called, `send` fails. */
  rewindTo?(): number | undefined;
  rewound?(): void;
}

export type ConnectionState =
  | { readonly connected: true }
  | {
      readonly connected: false;
      readonly reason: string;
      /** Code of the error that ended the connection; undefined without one. */
      readonly code?: string | undefined;
    };

/** An uplink at work: a cursor in the outbox, a transport, a pace. Disposal finishes or gives back the batch in flight. */
export interface Uplink extends AsyncDisposable {
  start(): void;
}

export type UplinkContext<Config> = {
  readonly id: string;
  readonly agentId: string;
  readonly config: Config;
  readonly records: UplinkRecords;
  readonly deps: Deps;
};

/** Code of a kind of uplink. */
export type UplinkFactory<Config> = { create(context: UplinkContext<Config>): Uplink };

/** A kind of uplink: one line in config/kinds.ts enrols it. */
export type UplinkKind<Config extends { readonly type: string }> = {
  readonly type: Config['type'];
  readonly schema: z.ZodType<Config>;
  /** Loads the code of the uplink. `andon check` reads configurations without it. */
  load(): Promise<UplinkFactory<Config>>;
};
