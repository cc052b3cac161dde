import * as z from 'zod';
import { configObject, duration, furtherHeaders, httpUrlProblem } from '../../platform/config-fields.ts';
import { uplinkFields } from '../uplink-fields.ts';

/** Set by the uplink itself. */
const ownHeaders: ReadonlySet<string> = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'idempotency-key',
  'transfer-encoding',
]);

const tlsSchema = configObject({
  ca: z.string().min(1).optional().describe('PEM file with the certificate authority of the receiver'),
  cert: z.string().min(1).optional().describe('PEM file with the certificate that the agent shows'),
  key: z.string().min(1).optional().describe('PEM file with the private key of cert'),
}).refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
  error: 'cert and key belong together: give both or neither',
});

export const httpUplinkSchema = configObject({
  type: z.literal('http'),
  url: z.string().superRefine(checkUrl).describe('Where batches are posted: https://host/path'),
  headers: furtherHeaders(ownHeaders, 'the uplink itself').describe(
    'Headers of each request; a token is a secret reference, and is read anew for each request',
  ),
  compression: z.enum(['none', 'gzip']).default('none').describe('How the body is compressed'),
  connectTimeout: duration('How long connecting may take, TLS included', { minMs: 100, maxMs: 600_000 }).prefault(
    '10s',
  ),
  timeout: duration('How long a request may take from begin to answer', { minMs: 100, maxMs: 600_000 }).prefault('30s'),
  keepStatuses: z
    .array(z.int().min(400).max(499))
    .default([401, 403, 407])
    .describe(
      'Statuses of the 4xx range that keep the batch and try again, because they speak of the agent and not of the ' +
        'records (an expired token); 408 and 429 always do',
    ),
  tls: tlsSchema.prefault({}).describe('Certificates for https'),
  ...uplinkFields({ recordsMax: 200, bytesMax: '256kB', linger: '100ms' }),
});

/** Durations in milliseconds, sizes in bytes. */
export type HttpUplinkConfig = z.infer<typeof httpUplinkSchema>;

function checkUrl(text: string, context: z.RefinementCtx): void {
  const message = httpUrlProblem(text, 'host/path');
  if (message !== '') context.addIssue({ code: 'custom', message, input: text });
}
