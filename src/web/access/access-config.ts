import { isIP } from 'node:net';
import * as z from 'zod';
import { duration, type SecretReference, secretReference } from '../../platform/config-fields.ts';
import { type Role, roles } from './roles.ts';

/** Users of an HTTP endpoint. */
export type AccessConfig = {
  /** Path of the file with users and tokens. */
  readonly users?: string | undefined;
  readonly token?: SecretReference | undefined;
  readonly adminToken?: SecretReference | undefined;
  readonly anonymous?: Role | 'none' | undefined;
  /** Names of this endpoint in lower case; undefined accepts any. */
  readonly hosts?: readonly string[] | undefined;
  readonly trustedProxies: readonly string[];
  readonly sessionIdleMs: number;
  readonly sessionMaxMs: number;
};

export const accessFields = {
  users: z
    .string()
    .min(1)
    .optional()
    .describe(
      'File with users and tokens, which `andon users` and `andon tokens` write. A change applies without a restart',
    )
    .meta({ examples: ['users.yaml'] }),
  token: secretReference
    .optional()
    .describe('Bearer token with the role operator. `andon tokens add` creates tokens with names, roles and an expiry'),
  adminToken: secretReference.optional().describe('Bearer token with the role admin'),
  anonymous: z
    .enum(['none', ...roles])
    .optional()
    .describe(
      'Role of requests from this box without a login, on a loopback address only. Default: viewer if neither users nor token are configured, otherwise none',
    ),
  hosts: z
    .array(
      z
        .string()
        .regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, {
          error: 'expected a host name without a port, such as press-7.plant.example',
        })
        .transform((name) => name.toLowerCase()),
    )
    .min(1)
    .optional()
    .describe(
      'Host names under which browsers and programs may use the endpoint, against DNS rebinding. IP addresses, localhost and the name in listen are always accepted. Default: any name, but requests without a login need a loopback address',
    )
    .meta({ examples: [['press-7.plant.example']] }),
  trustedProxies: z
    .array(z.string().refine(isNetwork, { error: 'expected an IP address, or a network such as 10.0.0.0/8' }))
    .default([])
    .describe(
      'Addresses of reverse proxies whose X-Forwarded-For names the client, for the login limit and the audit log',
    )
    .meta({ examples: [['127.0.0.1']] }),
  sessionIdle: duration(
    'A login on the page ends after this time without an act of the person, such as a click or a key',
    { minMs: 60_000 },
  ).prefault('12h'),
  sessionMax: duration('A login on the page ends after this time in any case', { minMs: 60_000 }).prefault('7d'),
};

/** Returns the role of requests without a login on a loopback address. */
export function anonymousRole({ users, token, anonymous }: AccessConfig): Role | undefined {
  const role = anonymous ?? (users === undefined && token === undefined ? 'viewer' : 'none');
  return role === 'none' ? undefined : role;
}

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  const bits = isIP(address) === 6 ? 128 : 32;
  return (
    isIP(address) !== 0 &&
    more.length === 0 &&
    (prefix === undefined || /^\d+$/.test(prefix)) &&
    Number(prefix ?? 0) <= bits
  );
}
