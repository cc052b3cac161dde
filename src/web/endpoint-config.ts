import * as z from 'zod';
import { duration } from '../platform/config-fields.ts';
import type { AccessConfig } from './access/access-config.ts';
import type { ServerTls } from './server-tls-config.ts';

/** Settings that every HTTP endpoint has. */
export type EndpointConfig = AccessConfig & {
  readonly listen: string;
  readonly tls?: ServerTls | undefined;
  /** Allows clear text on an address other than loopback. */
  readonly insecure: boolean;
  readonly requestTimeoutMs: number;
  readonly maxConnections: number;
};

export const requestTimeoutField = duration('Longest time for a request to arrive, headers and body', {
  minMs: 100,
  maxMs: 600_000,
});

export const maxConnectionsField = z
  .int()
  .min(1)
  .max(10_000)
  .describe(
    'Most connections at a time. One more takes the place of the longest idle one without a login; those of one address have half of the places at most',
  );
