import * as z from 'zod';
import { configObject, duration, secretReference } from '../platform/config-fields.ts';
import { tlsSchema } from '../platform/tls-files.ts';
import { fleetVariables } from './fleet-states.ts';

const serverUrl = z.url({ protocol: /^(nats|tls)$/, error: 'expected nats://host:4222 or tls://host:4222' });

export const fleetConfigSchema = configObject({
  url: serverUrl.describe('NATS server of the fleet: tls://host:4222, or nats://host:4222 without encryption'),
  cluster: z.array(serverUrl).max(100).default([]).describe('URLs of further servers of the same cluster'),
  credentials: secretReference
    .optional()
    .describe('Credentials file (.creds) of this box, as `andon agent enrol` writes it: { file: PATH }'),
  tls: tlsSchema('the server').prefault({}).describe('Certificates for TLS'),
  interval: duration('Interval at which the desired state is read and the box reports, plus or minus 20 %', {
    minMs: 10_000,
    maxMs: 86_400_000,
  }).prefault('5m'),
  connectTimeout: duration('Longest wait for a connection and for an answer', {
    minMs: 100,
    maxMs: 600_000,
  }).prefault('10s'),
  reconnectMin: duration('Wait before the first reconnection attempt; it doubles with each further attempt', {
    minMs: 10,
    maxMs: 3_600_000,
  }).prefault('1s'),
  reconnectMax: duration('Longest wait between reconnection attempts', { minMs: 10, maxMs: 3_600_000 }).prefault('2m'),
  downloadTimeout: duration('Longest time for a file of the fleet', { minMs: 1_000, maxMs: 86_400_000 }).prefault('1h'),
  variables: fleetVariables
    .default({})
    .describe(
      'Values of ${name} in the configuration of the fleet. They precede those that the fleet sets for this box',
    ),
}).describe('Management of this agent by a fleet (docs/fleet.md). Without it the agent is managed on the box only');

/** Durations in milliseconds. */
export type FleetConfig = z.infer<typeof fleetConfigSchema>;
