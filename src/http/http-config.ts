import * as z from 'zod';
import { configObject } from '../platform/config-fields.ts';
import { accessFields } from '../web/access/access-config.ts';
import { maxConnectionsField, requestTimeoutField } from '../web/endpoint-config.ts';
import { serverTlsSchema } from '../web/server-tls-config.ts';
import { listenField } from '../web/listen-address.ts';

/** Keys of section `http`. Node's and Fastify's own timeouts and limits default to none, so each one is set here. */
export const httpFields = {
  listen: listenField('127.0.0.1:8080'),
  tls: serverTlsSchema.optional(),
  insecure: z
    .boolean()
    .default(false)
    .describe(
      'Allows clear text on an address other than loopback: passwords and tokens can then be read on the network',
    ),
  ...accessFields,
  configuration: z
    .enum(['edit', 'read-only'])
    .default('edit')
    .describe(
      'Whether engineers may change this file on the page and over HTTP. Some keys are never changed there: see docs/security.md',
    ),
  requestTimeout: requestTimeoutField.prefault('10s'),
  maxConnections: maxConnectionsField.default(250),
};

export const httpConfigSchema = configObject(httpFields);

export type HttpConfig = z.infer<typeof httpConfigSchema>;
