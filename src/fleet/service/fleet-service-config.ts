import * as z from 'zod';
import { configObject } from '../../platform/config-fields.ts';
import { tlsSchema } from '../../platform/tls-files.ts';
import { accessFields } from '../../web/access/access-config.ts';
import { maxConnectionsField, requestTimeoutField } from '../../web/endpoint-config.ts';
import { listenField } from '../../web/listen-address.ts';
import { serverTlsSchema } from '../../web/server-tls-config.ts';

const natsUrl = z.url({ protocol: /^(nats|tls)$/, error: 'expected nats://host:4222 or tls://host:4222' });

/** Configuration file of `andon fleet serve`. */
export const fleetServiceSchema = configObject({
  nats: configObject({
    url: natsUrl.describe('NATS server of the fleet'),
    tls: tlsSchema('the server').prefault({}).describe('Certificates for TLS'),
    replicas: z
      .union([z.literal(1), z.literal(3), z.literal(5)])
      .default(1)
      .describe('Copies of the states and files, in a cluster of NATS servers'),
  }),
  boxUrl: natsUrl.optional().describe('URL of the NATS server for boxes, if it is not nats.url'),
  keys: z
    .string()
    .min(1)
    .default('fleet-keys.json')
    .describe('File with the keys of the fleet, as `andon fleet init` writes it'),
  data: z.string().min(1).default('.').describe('Folder of the audit log'),
  http: configObject({
    listen: listenField('127.0.0.1:8090'),
    tls: serverTlsSchema.optional(),
    insecure: z.boolean().default(false).describe('Allows clear text on an address other than loopback'),
    ...accessFields,
    requestTimeout: requestTimeoutField.prefault('10s'),
    maxConnections: maxConnectionsField.default(250),
  })
    .prefault({})
    .describe('HTTP endpoint of the fleet'),
});

/** Parsed configuration of the fleet service. */
export type FleetServiceConfig = z.infer<typeof fleetServiceSchema>;
