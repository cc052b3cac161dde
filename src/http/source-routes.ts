import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { TagReading } from '../contracts/live-events.ts';
import type { Deps } from '../platform/deps.ts';
import { sourceJson } from './api-schemas.ts';
import { tagJson } from './event-stream.ts';

/** A source with the last values of its tags. */
export type SourceOverview = {
  readonly source: string;
  readonly type: string;
  /** Address of the device or broker; undefined if the configuration refers to it as a secret. */
  readonly url: string | undefined;
  readonly tags: readonly TagReading[];
};

export type SourceRoutesOptions = {
  readonly sources: () => readonly SourceOverview[];
  readonly deps: Deps;
};

/** `GET /api/v1/sources`: sources with their health and tags. */
export function registerSources(instance: FastifyInstance, { sources, deps }: SourceRoutesOptions): void {
  instance.withTypeProvider<ZodTypeProvider>().get(
    '/api/v1/sources',
    {
      schema: {
        summary: 'Sources with their health and the last values of their tags',
        tags: ['Configuration'],
        response: { 200: z.object({ sources: z.array(sourceJson) }) },
      },
    },
    () => {
      const health = new Map(deps.health.components().map((component) => [component.name, component]));
      return {
        sources: sources().map(({ source, type, url, tags }) => {
          const { status = 'starting', reason = '', sinceMs = 0 } = health.get(`source/${source}`) ?? {};
          return { source, type, url: url ?? null, status, reason, since_ms: sinceMs, tags: tags.map(tagJson) };
        }),
      };
    },
  );
}
