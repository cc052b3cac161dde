import type { NodeListing } from '../../contracts/source.ts';
import type { OpcuaSourceConfig } from './opcua-config.ts';

/*
 * Messages between the agent and the process with the OPC UA library. A connection is one attempt: it is opened, delivers
 * values, and ends once. The agent decides when to open the next one, with another number.
 */

/** A value of a tag within the value of a node. */
export type OpcuaRead = {
  readonly name: string;
  readonly path: string | undefined;
  readonly scale: number;
  readonly offset: number;
  readonly map: Readonly<Record<string, number>> | undefined;
};

/** A monitored item. Tags that read parts of one node share it. */
export type OpcuaItem = {
  readonly node: string;
  readonly publishingMs: number;
  readonly samplingMs: number;
  readonly queueSize: number;
  /** Absolute deadband in raw units, for the server; 0 for none. */
  readonly deadband: number;
  /** Indexes of its reads in `OpcuaJob.reads`. */
  readonly reads: readonly number[];
};

export type OpcuaUser =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'password'; readonly name: string; readonly password: string }
  | { readonly kind: 'certificate'; readonly cert: string; readonly key: string };

/** How to reach a server. */
export type OpcuaEndpoint = Pick<OpcuaSourceConfig, 'url' | 'security' | 'certificate' | 'connectTimeoutMs'> & {
  /** Id of the source, for remedies. */
  readonly source: string;
  readonly user: OpcuaUser;
  /** Folder of andon's certificate and of the trusted ones. */
  readonly pkiFolder: string;
};

export type OpcuaJob = {
  readonly endpoint: OpcuaEndpoint;
  readonly time: OpcuaSourceConfig['time'];
  readonly items: readonly OpcuaItem[];
  readonly reads: readonly OpcuaRead[];
};

/** Samples as columns. A read occurs several times if the server queued several values. */
export type OpcuaValues = {
  readonly reads: Uint32Array;
  readonly values: Float64Array;
  /** Times as sent, ms; NaN for the time of arrival. */
  readonly timesMs: Float64Array;
  readonly qualities: Uint8Array;
  /** Codes of quality reasons. */
  readonly reasons: Uint8Array;
  /** Fault in the content of a read, for the operator. */
  readonly faults: readonly (readonly [read: number, text: string])[];
  /** Values that the server dropped because a queue was full, by its overflow bit. */
  readonly overflows: number;
};

export type OpcuaCommand =
  | { readonly type: 'open'; readonly connection: number; readonly job: OpcuaJob }
  | { readonly type: 'close'; readonly connection: number }
  | {
      readonly type: 'browse';
      readonly connection: number;
      readonly request: number;
      readonly node: string | undefined;
    };

export type OpcuaEvent = { readonly connection: number } & (
  | {
      readonly type: 'opened';
      /** Silence after which a subscription is dead, by its requested interval, from the intervals that the server granted. */
      readonly silencesMs: ReadonlyMap<number, number>;
      /** End of the validity of andon's own certificate, epoch ms. */
      readonly expiresMs: number;
    }
  /** The server's clock minus the agent's. */
  | { readonly type: 'skew'; readonly skewMs: number }
  /** The server sent a notification or a keep-alive of the subscription with this requested interval. */
  | { readonly type: 'alive'; readonly publishingMs: number }
  | { readonly type: 'values'; readonly values: OpcuaValues }
  /** Items that the server refuses at present, each with the reason. Replaces the earlier list. */
  | { readonly type: 'refused'; readonly items: readonly (readonly [item: number, text: string])[] }
  /** Answer to 'browse'. */
  | { readonly type: 'browsed'; readonly request: number; readonly listing: NodeListing }
  | { readonly type: 'browse-failed'; readonly request: number; readonly reason: string }
  /** The connection has failed or was closed. Nothing follows. */
  | { readonly type: 'ended'; readonly reason: string }
);
