import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Deps } from '../platform/deps.ts';
import type { ComponentStatus } from '../platform/health.ts';
import { codedReason } from '../domain/record/verdict-payload.ts';
import { healthJson } from './api-schemas.ts';

export type AgentIdentity = { readonly agentId: string; readonly version: string };

/**
 * `/healthz` is always 200; `/readyz` is 503 while a component starts or has failed.
 * A degraded component (for example a device that is down) is not a reason to restart the agent or to route around it.
 */
export function registerHealthRoutes(instance: FastifyInstance, identity: AgentIdentity, deps: Deps): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  // Supervisors and load balancers check health without a secret. Reasons contain addresses and names of files.
  const config = { permission: 'open' } as const;
  const report = ({ caller }: FastifyRequest) => ({
    status: deps.health.overall(),
    agent: identity.agentId,
    version: identity.version,
    components: deps.health
      .components()
      .map((component) =>
        componentToJson(caller === undefined ? { ...component, reason: '', code: undefined } : component),
      ),
  });

  app.get(
    '/healthz',
    { config, schema: { summary: 'Liveness: the agent runs', response: { 200: healthJson } } },
    (request) => report(request),
  );
  app.get(
    '/readyz',
    { config, schema: { summary: 'Readiness of the agent', response: { 200: healthJson, 503: healthJson } } },
    async (request, reply) => {
      const health = report(request);
      const ready = health.status === 'ok' || health.status === 'degraded';
      reply.code(ready ? 200 : 503);
      return health;
    },
  );
  app.get('/metrics', { schema: { summary: 'Prometheus metrics', hide: true } }, async (_request, reply) =>
    reply.type(deps.metrics.contentType).send(await deps.metrics.text()),
  );
}

function componentToJson({ name, status, reason, code, sinceMs }: ComponentStatus) {
  const coded = code === undefined ? codedReason(reason) : { reason_code: code };
  return { name, status, reason, ...coded, since_ms: Math.round(sinceMs) };
}
