import * as z from 'zod';
import { configObject, duration, additionalHeaders, httpUrl } from '../../platform/config-fields.ts';
import { tlsSchema } from '../../platform/tls-files.ts';
import { uplinkFields } from '../uplink-fields.ts';

/** Fields of every uplink that posts batches. */
export const httpClientFields = {
  compression: z.enum(['none', 'gzip']).default('none').describe('Compression of the request body'),
  connectTimeout: duration('Longest wait for a connection, TLS included', { minMs: 100, maxMs: 600_000 }).prefault(
    '10s',
  ),
  timeout: duration('Longest time from the start of a request to the end of its response', {
    minMs: 100,
    maxMs: 600_000,
  }).prefault('30s'),
  keepStatuses: z
    .array(z.int().min(400).max(499))
    .default([401, 403, 407])
    .describe(
      '4xx statuses after which the batch is kept and retried, because they concern the agent and not the records (such as an expired token). 408 and 429 are always retried',
    ),
  tls: tlsSchema('the receiver').prefault({}).describe('Certificates for https'),
};

export const httpUplinkSchema = configObject({
  type: z.literal('http'),
  url: httpUrl('host/path').describe('URL that batches are posted to: https://host/path'),
  headers: additionalHeaders(['idempotency-key'], 'the uplink itself').describe(
    'Headers of each request. A token is a secret reference; it is read again for each request',
  ),
  ...httpClientFields,
  ...uplinkFields({ recordsMax: 200, bytesMax: '256kB', linger: '100ms' }),
});

/** Parsed configuration of an HTTP uplink. */
export type HttpUplinkConfig = z.infer<typeof httpUplinkSchema>;
