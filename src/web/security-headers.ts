import { type OutgoingHttpHeaders, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import helmet, { type FastifyHelmetOptions } from '@fastify/helmet';
import fastify from 'fastify';
import { errorCode } from '../platform/errors.ts';

/**
 * Returns the headers of every answer. Answers are not stored, unless their route states otherwise: they have plant data.
 *
 * helmet has no list of its headers, and its hook does not see what Node and Fastify answer themselves.
 */
export async function securityHeaders(): Promise<OutgoingHttpHeaders> {
  const app = fastify();
  await app.register(helmet, helmetOptions());
  app.get('/', async (_request, reply) => reply.getHeaders());
  const answer = await app.inject('/');
  return { ...answer.json<OutgoingHttpHeaders>(), 'cache-control': 'no-store' };
}

/** The page loads everything from this endpoint, and no other page may embed it. */
function helmetOptions(): FastifyHelmetOptions {
  return {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        connectSrc: ["'self'"],
        imgSrc: ["'self'"],
        frameAncestors: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
      },
    },
    referrerPolicy: { policy: 'no-referrer' },
    // Only over TLS does a browser obey it, and there it would also apply to other ports of the same host.
    strictTransportSecurity: false,
  };
}

/** Statuses by error code of Node's HTTP parser. */
const STATUS_OF_CODE: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };
const REASONS: Readonly<Record<number, string>> = {
  400: 'This is not an HTTP request',
  408: 'The request did not arrive in time',
  431: 'The headers of the request are too large',
};

/** Returns `clientErrorHandler` of Fastify: answers bytes that are not an HTTP request. */
export function clientErrorAnswer(headers: OutgoingHttpHeaders): (error: Error, socket: Socket) => void {
  return (error, socket) => {
    if (errorCode(error) === 'ECONNRESET' || !socket.writable) return void socket.destroy(error);
    const status = STATUS_OF_CODE[errorCode(error) ?? ''] ?? 400;
    const body = JSON.stringify({ error: REASONS[status] });
    const own = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    };
    const lines = Object.entries({ ...headers, ...own }).map(([name, value]) => `${name}: ${String(value)}\r\n`);
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`, () => socket.destroy());
  };
}
