import * as z from 'zod';
import { duration, type SecretReference } from '../platform/config-fields.ts';

/** Settings that every HTTP endpoint has. */
export type EndpointConfig = {
  readonly listen: string;
  readonly token?: SecretReference | undefined;
  /** Grants everything that `token` grants, and the management of models. */
  readonly adminToken?: SecretReference | undefined;
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
  .describe('Most connections at a time. One more is refused');
