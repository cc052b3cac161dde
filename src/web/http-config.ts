import * as z from 'zod';
import { byteSize, configObject, duration, secretReference } from '../platform/config-fields.ts';

/** `127.0.0.1:8080`, `[::1]:8080`, `0.0.0.0:8080`, `edge-01.local:8080`. */
const LISTEN_PATTERN = /^(\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/;
const LISTEN_EXPECTED = "expected 'host:port' such as '127.0.0.1:8080' or '[::1]:8080'";
const PORT_MAX = 65_535;

const generationSchema = configObject({
  maxConcurrent: z
    .int()
    .min(1)
    .max(1_000)
    .default(8)
    .describe('Most text generations at a time. One more is answered with 503'),
  maxTokens: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(1024)
    .describe('Most tokens that one generation may write. A request for more is refused'),
  maxMemory: byteSize(
    'Most memory for the key-value caches of all running generations. Each cache is counted at its largest size, for the input and the output of a step. A larger cache makes each token slower',
  ).prefault('32MB'),
})
  .prefault({})
  .describe('Text generation by decoder models (/v2/models/<name>/generate and generate_stream)');

/** The HTTP endpoint. Fastify's own timeouts and limits default to none, so each one is set here. */
export const httpConfigSchema = configObject({
  listen: z
    .string()
    .regex(LISTEN_PATTERN, { error: LISTEN_EXPECTED })
    .refine((text) => (listenAddress(text)?.port ?? 0) <= PORT_MAX, {
      error: `must have a port of ${PORT_MAX} or less`,
    })
    .default('127.0.0.1:8080')
    .describe('Address and port. An address other than loopback requires token. Port 0 selects a free port')
    .meta({ examples: ['127.0.0.1:8080', '0.0.0.0:8080'] }),
  token: secretReference
    .optional()
    .describe(
      'Bearer token that every request except /healthz and /readyz must have. Required for an address other than loopback',
    ),
  adminToken: secretReference
    .optional()
    .describe(
      'Bearer token for model management: /v2 (index, load, unload) and /api/v1/models (install, activate, …). Without it these paths are disabled',
    ),
  requestTimeout: duration('Longest time for a request to arrive, headers and body', {
    minMs: 100,
    maxMs: 600_000,
  }).prefault('10s'),
  maxConnections: z.int().min(1).max(10_000).default(100).describe('Most connections at a time. One more is refused'),
  maxBody: byteSize('Largest request body. A larger one is answered with 413').prefault('4MB'),
  generation: generationSchema,
}).describe('HTTP endpoint: health, metrics, alarms, inference and dashboard');

export type HttpConfig = z.infer<typeof httpConfigSchema>;
export type GenerationConfig = HttpConfig['generation'];

export type ListenAddress = { readonly host: string; readonly port: number; readonly loopback: boolean };

/** The parts of `http.listen`, the brackets of an IPv6 address taken off; undefined where it is not one. */
export function listenAddress(listen: string): ListenAddress | undefined {
  const match = LISTEN_PATTERN.exec(listen);
  if (match === null) return undefined;
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '');
  return { host, port: Number(match[2]), loopback: isLoopback(host) };
}

/** Only this machine itself can reach it: 127.0.0.0/8, ::1, or the name localhost. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
