import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { type NodeReading, registerKinds, type Source } from '../contracts/source.ts';
import type { TagReading } from '../contracts/live-events.ts';
import type { Deps } from '../platform/deps.ts';
import { errorJson } from '../web/http-errors.ts';
import { apiFailure } from './api-errors.ts';
import { nodeJson, registerJson, sourceJson, topicJson } from './api-schemas.ts';
import { tagJson } from './event-stream.ts';

/** A source with the last values of its tags. */
export type SourceOverview = {
  readonly source: string;
  readonly type: string;
  /** Address of the device or broker; undefined if the configuration refers to it as a secret. */
  readonly url: string | undefined;
  readonly tags: readonly TagReading[];
  /** Undefined while a reload replaces it. */
  readonly running: Pick<Source, 'readRegisters' | 'browseTopics' | 'browseNodes'> | undefined;
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
          const { status = 'starting', reason = '', code, sinceMs = 0 } = health.get(`source/${source}`) ?? {};
          return {
            source,
            type,
            url: url ?? null,
            status,
            reason,
            reason_code: code,
            since_ms: sinceMs,
            tags: tags.map(tagJson),
          };
        }),
      };
    },
  );
  registerRegisters(instance, options);
  registerTopics(instance, options);
  registerNodes(instance, options);
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

/** Longest listing, well below `requestTimeout`, after which an idle connection is closed. */
const LISTEN_SECONDS_MAX = 10;

const listenBody = z.strictObject({
  filter: z
    .string()
    .min(1)
    .max(1000)
    .refine(isTopicFilter, { error: 'expected a topic filter such as acme/+/press/#' })
    .optional()
    .describe('Topics to list, with + and #. Default: all that the kind of source reads'),
  seconds: z.number().min(0.1).max(LISTEN_SECONDS_MAX).default(5),
});

/** `POST /api/v1/sources/<source>/topics`: listens to a broker, for a person who looks for tags. */
function registerTopics(instance: FastifyInstance, { sources }: SourceRoutesOptions): void {
  instance.withTypeProvider<ZodTypeProvider>().post(
    '/api/v1/sources/:source/topics',
    {
      config: { permission: 'configure' },
      schema: {
        summary: 'List topics of the broker of an MQTT or Sparkplug source',
        description:
          'Subscribes with QoS 0 over a connection with its own client id and publishes nothing. Ends early after 1,000 topics, 10,000 messages or 16 MB. For Sparkplug, a topic is `<group>/<edge node>[/<device>]`.',
        tags: ['Configuration'],
        params: z.object({ source: z.string() }),
        body: listenBody,
        response: {
          200: z.object({
            topics: z.array(topicJson),
            is_complete: z.boolean().describe('False if there was more than a listing holds: use a narrower filter'),
          }),
          404: errorJson,
          409: errorJson,
          502: errorJson,
        },
      },
    },
    async ({ params, body: { filter, seconds } }) => {
      const source = sources().find((each) => each.source === params.source)?.running;
      if (source?.browseTopics === undefined)
        throw apiFailure('source-without-topics', `There is no MQTT or Sparkplug source '${params.source}'`);
      const { topics, isComplete } = await source.browseTopics({ filter, forMs: seconds * 1000 });
      return {
        is_complete: isComplete,
        topics: topics.map(({ payload = null, values, ...topic }) => ({
          ...topic,
          payload,
          values: values.map(({ value, ...each }) => ({ ...each, value: Number.isFinite(value) ? value : null })),
        })),
      };
    },
  );
}

const nodeBody = z.strictObject({
  node: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('Address such as nsu=URI;s=NAME. Default: the folder of all objects'),
});

/** `POST /api/v1/sources/<source>/nodes`: a node of an OPC UA server and those below it, for a person who looks for tags. */
function registerNodes(instance: FastifyInstance, { sources }: SourceRoutesOptions): void {
  instance.withTypeProvider<ZodTypeProvider>().post(
    '/api/v1/sources/:source/nodes',
    {
      config: { permission: 'configure' },
      schema: {
        summary: 'Read a node of the server of an OPC UA source, and the nodes below it',
        description:
          'Reads over the session of the source: values, units and ranges of the node and of at most 1,000 nodes below it. Properties and the nodes of the server itself are left out.',
        tags: ['Configuration'],
        params: z.object({ source: z.string() }),
        body: nodeBody,
        response: {
          200: z.object({
            node: nodeJson,
            values: z
              .array(
                z.object({
                  path: z.string().nullable().describe('Part of the value; null for the whole'),
                  value: z.number().nullable().describe('Null for NaN and infinity'),
                }),
              )
              .describe('Numbers in the value of the node: each could become a tag'),
            children: z.array(nodeJson),
            is_complete: z.boolean().describe('False if the node has more children than a listing holds'),
          }),
          404: errorJson,
          409: errorJson,
          502: errorJson,
        },
      },
    },
    async ({ params, body }) => {
      const source = sources().find((each) => each.source === params.source)?.running;
      if (source?.browseNodes === undefined)
        throw apiFailure('source-without-nodes', `There is no OPC UA source '${params.source}'`);
      const { node, values, children, isComplete } = await source.browseNodes(body.node);
      return {
        node: nodeAnswer(node),
        values: values.map(({ path, value }) => ({ path: path ?? null, value: Number.isFinite(value) ? value : null })),
        children: children.map(nodeAnswer),
        is_complete: isComplete,
      };
    },
  );
}

function nodeAnswer({ name, node, isVariable, hasChildren, type, value, status, unit, range }: NodeReading) {
  const [low, high] = range ?? [];
  return {
    name,
    node,
    is_variable: isVariable,
    has_children: hasChildren,
    type,
    value,
    status,
    unit: unit ?? null,
    range: low === undefined || high === undefined ? null : [low, high],
  };
}

/** @see MQTT 5, section 4.7.1: # is the last level, and a wildcard is a level of its own. */
function isTopicFilter(text: string): boolean {
  return !text.includes('\0') && /^(?:[^/+#]*|\+)(?:\/(?:[^/+#]*|\+))*(?:\/#)?$|^#$/.test(text);
}
