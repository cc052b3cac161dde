import type { FastifyInstance } from 'fastify';
import type { Clock } from '../platform/clock.ts';
import { Deadlines } from '../platform/deadlines.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Longest time for a body to arrive; `requestTimeout` of the endpoint if left out. */
    readonly arrivalTimeoutMs?: number;
  }
}

/**
 * Gives each route its own time for a body to arrive. Node has one limit for a whole server, which must be that of the slowest
 * route. A request that exceeds its time is answered with 408, and its connection is closed.
 */
export function limitArrival(app: FastifyInstance, timeoutMs: number, clock: Clock): void {
  const deadlines = new Deadlines(clock);
  app.addHook('onRequest', async ({ raw, routeOptions }, reply) => {
    if (raw.headers['content-length'] === undefined && raw.headers['transfer-encoding'] === undefined) return;
    const limitMs = routeOptions.config.arrivalTimeoutMs ?? timeoutMs;
    const deadline = deadlines.set(() => {
      if (raw.complete || reply.sent) return;
      reply.raw.once('close', () => raw.destroy());
      void reply
        .code(408)
        .header('connection', 'close')
        .send({ error: `The request did not arrive within ${limitMs} ms` });
    }, limitMs);
    reply.raw.once('close', () => deadline.cancel());
  });
}
