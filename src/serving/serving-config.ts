import * as z from 'zod';
import { byteSize, configObject, secretReference } from '../platform/config-fields.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import { type EndpointConfig, maxConnectionsField, requestTimeoutField } from '../web/endpoint-config.ts';
import { serverTlsSchema } from '../web/server-tls-config.ts';
import { listenField } from '../web/listen-address.ts';
import { generationSchema } from './text/generation-config.ts';

const maxBodyField = byteSize('Largest request body. A larger one is answered with 413');

/** Section `serving`. Tokens, timeout and connections that are left out are those of `http`. */
export const servingConfigSchema = configObject({
  listen: listenField('127.0.0.1:8081'),
  grpc: listenField('127.0.0.1:8082')
    .unwrap()
    .optional()
    .describe(
      'Address and port of the same protocol over gRPC, with the TLS, tokens and limits of this section. Port 0 selects a free port. Default: no gRPC',
    )
    .meta({ examples: ['127.0.0.1:8082', '0.0.0.0:8082'] }),
  tls: serverTlsSchema.optional().describe('TLS of the model server. Default: http.tls'),
  token: secretReference
    .optional()
    .describe(
      'Bearer token that may run models, and everything else except to manage them. Default: http.token. Users and other tokens are those of http.users',
    ),
  adminToken: secretReference
    .optional()
    .describe('Bearer token that may also use the model repository (/v2/repository). Default: http.adminToken'),
  requestTimeout: requestTimeoutField
    .optional()
    .describe('Longest time for a request to arrive, headers and body. Default: http.requestTimeout'),
  maxConnections: maxConnectionsField.optional().describe('Most connections at a time. Default: http.maxConnections'),
  maxBody: maxBodyField.prefault('4MB'),
  strictReadiness: z
    .boolean()
    .default(true)
    .describe('True: the server is ready if every model that should run can run. False: it is ready when it answers'),
  environment: z
    .array(z.string().regex(/^[A-Za-z_]\w*$/, { error: 'expected the name of an environment variable' }))
    .default([])
    .describe(
      'Environment variables that the model.yaml of models on servers names as secrets. The model server has no secrets but these, its tokens and its keys',
    )
    .meta({ examples: [['TRITON_TOKEN']] }),
  generation: generationSchema.prefault({}),
}).describe(
  'Model server: models over the Open Inference Protocol, in a process and on a port of their own. It starts if this section exists (`serving: {}`) or `models.serve` names models',
);

type ServingConfig = z.infer<typeof servingConfigSchema>;

/** Settings of a model server, with those that it takes from `http`. */
export type ModelServerConfig = EndpointConfig &
  Pick<ServingConfig, 'maxBodyBytes' | 'strictReadiness' | 'environment' | 'generation' | 'grpc'>;

/** Keys of section `http` that moved to section `serving`. They still have their effect, with a warning. */
export const movedHttpKeys = {
  maxBody: maxBodyField.optional().describe('Moved to serving.maxBody'),
  generation: generationSchema.optional().describe('Moved to serving.generation'),
};

type Sections = {
  readonly http: EndpointConfig & Partial<Pick<ServingConfig, 'maxBodyBytes' | 'generation'>>;
  readonly serving?: ServingConfig | undefined;
  readonly models: Pick<ModelsConfig, 'serve'>;
};

/** Returns the settings of the model server; undefined if the configuration does not ask for one. */
export function modelServerConfig({ http, serving, models }: Sections): ModelServerConfig | undefined {
  const hasMovedKey = http.maxBodyBytes !== undefined || http.generation !== undefined;
  if (serving === undefined && !hasMovedKey && models.serve === 'none') return undefined;
  const own = serving ?? servingConfigSchema.parse({});
  return {
    ...http,
    listen: own.listen,
    grpc: own.grpc,
    tls: own.tls ?? http.tls,
    token: own.token ?? http.token,
    adminToken: own.adminToken ?? http.adminToken,
    requestTimeoutMs: own.requestTimeoutMs ?? http.requestTimeoutMs,
    maxConnections: own.maxConnections ?? http.maxConnections,
    maxBodyBytes: http.maxBodyBytes ?? own.maxBodyBytes,
    strictReadiness: own.strictReadiness,
    environment: own.environment,
    generation: http.generation ?? own.generation,
  };
}
