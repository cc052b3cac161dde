import * as z from 'zod';
import { configObject, duration, secretReference } from '../../platform/config-fields.ts';
import { tlsSchema } from '../../platform/tls-files.ts';
import { uplinkFields } from '../uplink-fields.ts';

const DAY_MS = 86_400_000;
const EXPECTED = 'expected postgres://host:5432/database';

/** Modes of encryption, named as in libpq. */
const sslModes = ['disable', 'require', 'verify-full'] as const;
type SslMode = (typeof sslModes)[number];

const databaseUrl = z.string().superRefine((text, context) => {
  const url = URL.parse(text);
  const issue = (message: string) => context.addIssue({ code: 'custom', message, input: text });
  if (url === null || !['postgres:', 'postgresql:'].includes(url.protocol)) return issue(EXPECTED);
  if (url.pathname.length < 2) return issue(`${EXPECTED}: the name of the database is missing`);
  if (url.username !== '' || url.password !== '') issue('user and password must not be in the url');
  const name = [...url.searchParams.keys()].find((key) => !['sslmode', 'host'].includes(key));
  if (name !== undefined) issue(`the parameter ${name} is not known: expected sslmode or host`);
  const mode = url.searchParams.get('sslmode');
  if (mode !== null && !sslModes.some((one) => one === mode)) issue(`sslmode: expected ${sslModes.join(', ')}`);
  const host = url.searchParams.get('host');
  if (host !== null && !host.startsWith('/'))
    issue('host: expected the folder of a Unix socket, such as /var/run/postgresql');
});

const { values: _alwaysColumns, ...fields } = uplinkFields({ recordsMax: 1000, bytesMax: '1MB', linger: '200ms' });

export const postgresUplinkSchema = configObject({
  type: z.literal('postgres'),
  url: databaseUrl.describe(
    'Database: postgres://host:5432/database. With ?sslmode=disable, require or verify-full; default: verify-full, and disable for this computer. With ?host=/var/run/postgresql a Unix socket',
  ),
  username: z.string().min(1).default('andon').describe('User name (role)'),
  password: secretReference.optional().describe('Password of the user: { env: NAME } or { file: PATH }'),
  schema: z
    .string()
    .regex(/^[a-z_][a-z0-9_]{0,40}$/, { error: "expected lower-case letters, digits and '_'" })
    .refine((name) => !name.startsWith('pg_'), { error: 'names with pg_ belong to PostgreSQL' })
    .default('andon')
    .describe('Schema of the tables, which the uplink creates and updates'),
  durability: z
    .enum(['synced', 'none'])
    .default('synced')
    .describe(
      'synced: a server with fsync: off is refused, and synchronous_commit is switched on for the connection. none: a power cut of the server may lose records',
    ),
  retention: duration(
    'Verdicts, samples and summaries of older days are removed from the database. Alarms, losses and starts stay. Default: no limit',
    { minMs: DAY_MS },
  ).optional(),
  tls: tlsSchema('the server').prefault({}).describe('Certificates for TLS'),
  connectTimeout: duration('Longest wait for a connection and its login', {
    minMs: 100,
    maxMs: 600_000,
  }).prefault('10s'),
  reconnectMin: duration('Wait before the first reconnection attempt; it doubles with each further attempt', {
    minMs: 10,
    maxMs: 3_600_000,
  }).prefault('500ms'),
  reconnectMax: duration('Longest wait between reconnection attempts', { minMs: 10, maxMs: 3_600_000 }).prefault('30s'),
  timeout: duration('Longest wait for an answer of the server', { minMs: 100, maxMs: 600_000 }).prefault('30s'),
  ...fields,
}).refine(({ reconnectMinMs, reconnectMaxMs }) => reconnectMaxMs >= reconnectMinMs, {
  error: 'must not be shorter than reconnectMin',
  path: ['reconnectMax'],
});

/** Durations in milliseconds, sizes in bytes. */
export type PostgresUplinkConfig = z.infer<typeof postgresUplinkSchema>;

/** Returns where the server of a checked URL is. */
export function databaseAddress(text: string) {
  const url = new URL(text);
  // Brackets of an IPv6 address belong to the URL only.
  const name = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const host = url.searchParams.get('host') ?? (name === '' ? 'localhost' : name);
  const isLocal = host.startsWith('/') || ['localhost', '::1'].includes(host) || host.startsWith('127.');
  const mode = sslModes.find((one) => one === url.searchParams.get('sslmode'));
  return {
    host,
    port: url.port === '' ? 5432 : Number(url.port),
    database: decodeURIComponent(url.pathname.slice(1)),
    sslMode: mode ?? (isLocal ? 'disable' : 'verify-full'),
  } satisfies { readonly sslMode: SslMode; readonly [field: string]: unknown };
}
