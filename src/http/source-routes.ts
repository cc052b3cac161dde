import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { registerKinds, type Source } from '../contracts/source.ts';
import type { TagReading } from '../contracts/live-events.ts';
import type { Deps } from '../platform/deps.ts';
import { errorJson } from '../web/http-errors.ts';
import { apiFailure } from './api-errors.ts';
import { registerJson, sourceJson } from './api-schemas.ts';
import { tagJson } from './event-stream.ts';

/** A source with the last values of its tags. */
export type SourceOverview = {
  readonly source: string;
  readonly type: string;
  /** Address of the device or broker; undefined if the configuration refers to it as a secret. */
  readonly url: string | undefined;
  readonly tags: readonly TagReading[];
  /** Undefined while a reload replaces it. */
  readonly running: Pick<Source, 'readRegisters'> | undefined;
};

export type SourceRoutesOptions = {
  readonly sources: () => readonly SourceOverview[];
  readonly deps: Deps;
};

/** `GET /api/v1/sources`: sources with their health and tags. */
export function registerSources(instance: FastifyInstance, options: SourceRoutesOptions): void {
  const { sources, deps } = options;
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
  registerRegisters(instance, options);
}

/** Values of one response. */
const COUNT_MAX = 125;
const ADDRESS_MAX = 65_535;

const blockBody = z
  .strictObject({
    register: z.enum(registerKinds),
    address: z.int().min(0).max(ADDRESS_MAX).describe('From 0, as on the wire'),
    count: z.int().min(1).max(COUNT_MAX),
  })
  .refine(({ address, count }) => address + count <= ADDRESS_MAX + 1, { error: 'the block ends after address 65535' });

/** `POST /api/v1/sources/<source>/registers`: one read of registers, for a person who looks for tags. */
function registerRegisters(instance: FastifyInstance, { sources }: SourceRoutesOptions): void {
  instance.withTypeProvider<ZodTypeProvider>().post(
    '/api/v1/sources/:source/registers',
    {
      config: { permission: 'configure' },
      schema: {
        summary: 'Read registers or bits over the connection of a Modbus source',
        description:
          'One read of the unit of the source, after the scans that wait. Each register has the values that it starts, in every type and byte order.',
        tags: ['Configuration'],
        params: z.object({ source: z.string() }),
        body: blockBody,
        response: {
          200: z.object({ registers: z.array(registerJson) }),
          404: errorJson,
          409: errorJson,
          422: errorJson,
          502: errorJson,
          503: errorJson,
        },
      },
    },
    async ({ params, body }) => {
      const source = sources().find((each) => each.source === params.source)?.running;
      if (source?.readRegisters === undefined)
        throw apiFailure('source-without-registers', `There is no Modbus source '${params.source}'`);
      const registers = await source.readRegisters(body);
      return {
        registers: registers.map(({ address, raw, interpretations }) => ({
          address,
          raw,
          interpretations: interpretations.map(({ type, byteOrder, value }) => ({
            type,
            byte_order: byteOrder,
            value: Number.isFinite(value) ? value : null,
          })),
        })),
      };
    },
  );
}
