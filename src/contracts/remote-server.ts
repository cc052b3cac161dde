import * as z from 'zod';
import { modelReferencePattern, parseModelReference } from '../domain/model/model-reference.ts';
import { byteSize, configObject, additionalHeaders, httpUrl, secretReference } from '../platform/config-fields.ts';

const versionText = z
  .union([z.string().regex(/^[A-Za-z0-9._-]{1,64}$/), z.int().min(0)], {
    error: 'expected a version as the server names it, such as 3',
  })
  .transform(String);

const fallbackReference = z
  .string()
  .regex(modelReferencePattern, { error: 'expected NAME@VERSION' })
  .transform((text, context) => {
    const { name, version } = parseModelReference(text) ?? {};
    if (name !== undefined && version !== undefined) return { name, version };
    context.addIssue({ code: 'custom', message: 'must name the version: NAME@VERSION', input: text });
    return z.NEVER;
  });

/** `remote:` in a `model.yaml`: the server of the model, and the requests to it. */
export const remoteServerSchema = configObject({
  url: httpUrl('host:port')
    .refine((text) => !/[?#]/.test(text), { error: 'must not have a query or a fragment' })
    .describe('Open Inference Protocol server over HTTP: https://host:port, with the path in front of /v2, if any'),
  model: z
    .string()
    .regex(/^[^\s/?#]{1,256}$/, { error: 'expected the name of a model on the server' })
    .optional()
    .describe('Model name on the server. Default: the name of this model'),
  version: versionText.optional().describe('Model version on the server. Default: the server chooses'),
  token: secretReference.optional().describe('Bearer token, by reference. It is read again for each request'),
  headers: additionalHeaders(['accept', 'accept-encoding', 'inference-header-content-length'], 'andon itself').describe(
    'Additional headers of each request. A secret is a reference',
  ),
  ca: z
    .string()
    .refine((text) => text.includes('-----BEGIN') || text.startsWith('/'), {
      error: 'expected the absolute path of a PEM file, or its text',
    })
    .optional()
    .describe(
      'Certificate authority of the server: absolute path of a PEM file, or PEM text. Default: the public authorities',
    ),
  retries: z
    .int()
    .min(0)
    .max(10)
    .default(2)
    .describe('Most retries within the deadline of a run, if the server cannot be reached or asks for a retry'),
  failures: z
    .int()
    .min(1)
    .max(100)
    .default(3)
    .describe('Number of consecutive failed runs after which requests pause; the pauses grow until the server answers'),
  connections: z.int().min(1).max(64).default(4).describe('Most connections, and so most requests at a time'),
  maxAnswer: byteSize('Largest response accepted').prefault('16MB'),
  fallback: fallbackReference
    .optional()
    .describe('Local model that judges if this one cannot: NAME@VERSION with the same tags and window'),
}).refine(
  ({ token, headers }) =>
    token === undefined || !Object.keys(headers).some((name) => name.toLowerCase() === 'authorization'),
  { path: ['token'], error: 'set either token or the header authorization, not both' },
);

/** Parsed `remote:`. */
export type RemoteServer = z.infer<typeof remoteServerSchema>;
