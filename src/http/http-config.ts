import type * as z from 'zod';
import { configObject, secretReference } from '../platform/config-fields.ts';
import { maxConnectionsField, requestTimeoutField } from '../web/endpoint-config.ts';
import { listenField } from '../web/listen-address.ts';

/** Keys of section `http`. Node's and Fastify's own timeouts and limits default to none, so each one is set here. */
export const httpFields = {
  listen: listenField('127.0.0.1:8080'),
  token: secretReference
    .optional()
    .describe(
      'Bearer token that every request except /healthz and /readyz must have. Required for an address other than loopback',
    ),
  adminToken: secretReference
    .optional()
    .describe(
      'Bearer token for model management: /api/v1/models (install, activate, …) and, on the model server, /v2/repository. Without it these paths are disabled',
    ),
  requestTimeout: requestTimeoutField.prefault('10s'),
  maxConnections: maxConnectionsField.default(100),
};

export const httpConfigSchema = configObject(httpFields);

export type HttpConfig = z.infer<typeof httpConfigSchema>;
