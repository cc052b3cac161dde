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
    .describe('Generations under way at once; one more is answered with 503'),
  maxTokens: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(1024)
    .describe('Tokens that one may write at most; more cannot be asked for'),
  maxMemory: byteSize(
    'Memory for the caches of all under way, each counted at its fullest, going into a step and coming out of it; the larger a cache, the longer a token takes',
  ).prefault('32MB'),
})
  .prefault({})
  .describe('Generation of text by decoders (/v2/models/<name>/generate and generate_stream)');

/** The HTTP endpoint. Fastify's own timeouts and limits default to none, so each one is set here. */
export const httpConfigSchema = configObject({
  listen: z
    .string()
    .regex(LISTEN_PATTERN, { error: LISTEN_EXPECTED })
    .refine((text) => (listenAddress(text)?.port ?? 0) <= PORT_MAX, {
      error: `must have a port of ${PORT_MAX} or less`,
    })
    .default('127.0.0.1:8080')
    .describe('Address and port; off loopback only with a token. Port 0 takes a free one')
    .meta({ examples: ['127.0.0.1:8080', '0.0.0.0:8080'] }),
  token: secretReference
    .optional()
    .describe('Bearer token asked of every request but /healthz and /readyz; required off loopback'),
  adminToken: secretReference
    .optional()
    .describe(
      'Bearer token for the model repository: /v2 (index, load, unload) and /api/v1/models (install, activate, …), which are closed without it',
    ),
  requestTimeout: duration('Time for a request to arrive, headers and body', { minMs: 100, maxMs: 600_000 }).prefault(
    '10s',
  ),
  maxConnections: z.int().min(1).max(10_000).default(100).describe('Connections at once; one more is refused'),
  maxBody: byteSize('Largest request body; a larger one is answered with 413').prefault('4MB'),
  generation: generationSchema,
}).describe('HTTP endpoint: health, metrics, alarms, inference and the dashboard');

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
