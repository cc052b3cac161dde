import * as z from 'zod';
import { configObject, duration, httpUrl, secretReference } from '../../platform/config-fields.ts';
import { tlsSchema } from '../../platform/tls-files.ts';
import { uplinkFields } from '../uplink-fields.ts';

const serverUrl = z.string().superRefine((text, context) => {
  const url = URL.parse(text);
  const issue = (message: string) => context.addIssue({ code: 'custom', message, input: text });
  if (url === null || !['nats:', 'tls:'].includes(url.protocol) || url.hostname === '')
    return issue('expected nats://host:4222 or tls://host:4222');
  if (url.username !== '' || url.password !== '') issue('user and password must not be in the url');
});

/** Ways to log in. At most one may be set. */
const logins = ['username', 'token', 'nkey', 'credentials'] as const;

export const natsUplinkSchema = configObject({
  type: z.literal('nats'),
  url: serverUrl.describe('URL of the server: nats://host:4222, or tls://host:4222, which requires TLS'),
  cluster: z.array(serverUrl).max(100).default([]).describe('URLs of further servers of the same cluster'),
  stream: z
    .string()
    .regex(/^[^.*>/\\\s]+$/, { error: 'expected the name of a stream, without . * > / and spaces' })
    .default('ANDON')
    .describe('JetStream stream that stores the records. It must exist'),
  subject: z
    .string()
    .regex(/^[^.*>\s]+(\.[^.*>\s]+)*$/, { error: 'expected a subject without the wildcards * and >' })
    .optional()
    .describe('Subject of the batches. Default: andon.v1.<agent.id>.records'),
  durability: z
    .enum(['synced', 'replicated', 'none'])
    .describe(
      'What an acknowledgement of the server means. synced: the record is on disk (sync_interval: always at the server). replicated: three servers or more have it; a power cut of all loses it. none: a power cut of the server may lose records of the last minutes',
    ),
  monitor: httpUrl('host:8222')
    .optional()
    .describe('Monitoring endpoint of the server. With durability: synced, its sync_interval is verified there'),
  username: z.string().min(1).optional().describe('User name'),
  password: secretReference.optional().describe('Password of the user: { env: NAME } or { file: PATH }'),
  token: secretReference.optional().describe('Token: { env: NAME } or { file: PATH }'),
  nkey: secretReference.optional().describe('Seed of an nkey: { env: NAME } or { file: PATH }'),
  credentials: secretReference.optional().describe('Credentials file (.creds) with a JWT and its seed: { file: PATH }'),
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
  publishTimeout: duration('Longest wait for the stream to acknowledge a batch', {
    minMs: 100,
    maxMs: 600_000,
  }).prefault('15s'),
  batchesInFlight: z
    .int()
    .min(1)
    .max(100)
    .default(20)
    .describe('Most batches that wait for an acknowledgement at a time'),
  ...uplinkFields({ recordsMax: 100, bytesMax: '100kB', linger: '20ms' }),
}).superRefine((config, context) => {
  const issue = (path: string, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message, input: config });
  if ((config.username === undefined) !== (config.password === undefined))
    issue('username', 'username and password must be set together');
  const set = logins.filter((name) => config[name] !== undefined);
  if (set.length > 1) issue(set[1] ?? 'token', `only one of ${set.join(' and ')} may be set`);
  if (config.reconnectMaxMs < config.reconnectMinMs) issue('reconnectMax', 'must not be shorter than reconnectMin');
});

/** Durations in milliseconds, sizes in bytes. */
export type NatsUplinkConfig = z.infer<typeof natsUplinkSchema>;
