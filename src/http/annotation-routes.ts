import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { type Annotation, annotationLabels, type Annotations } from '../contracts/operation/annotations.ts';
import type { WatchStatuses } from '../contracts/watch-statuses.ts';
import { snakeJson } from '../domain/record/snake-json.ts';
import type { Deps } from '../platform/deps.ts';
import { actorName } from '../web/access/caller.ts';
import type { OperatorAudit } from '../web/access/operator-audit.ts';
import { errorJson } from '../web/http-errors.ts';
import { annotationJson } from './api-schemas.ts';

const TEXT_LENGTH_MAX = 500;
const LIST_MAX = 5_000;
/** Largest time of JavaScript dates. */
const TIME_MS_MAX = 8.64e15;

const time = z.number().min(0).max(TIME_MS_MAX);
const label = z.enum(annotationLabels);

const query = z
  .object({
    watch: z.string().optional(),
    label: label.optional(),
    from: z.coerce.number().default(0).describe('Epoch milliseconds. Annotations that overlap the range are returned'),
    to: z.coerce.number().default(TIME_MS_MAX),
    removed: z.stringbool().default(false).describe('Also returns removed annotations'),
    limit: z.coerce.number().int().min(1).max(LIST_MAX).default(LIST_MAX),
  })
  .refine(({ from, to }) => from <= to, { error: "'from' must not be after 'to'" });

const draft = z
  .object({
    watch: z.string(),
    from_ms: time,
    to_ms: time.optional().describe('End of the period. Default: `from_ms`, a moment'),
    label,
    text: z.string().max(TEXT_LENGTH_MAX).default(''),
  })
  .refine(({ from_ms, to_ms = from_ms }) => from_ms <= to_ms, { error: "'from_ms' must not be after 'to_ms'" });

export type AnnotationRoutesOptions = {
  readonly annotations: Annotations;
  readonly board: WatchStatuses;
  readonly audit: OperatorAudit;
  readonly deps: Deps;
};

/** `/api/v1/annotations`: notes of people, and periods that they label as fault or normal. */
export function registerAnnotations(instance: FastifyInstance, options: AnnotationRoutesOptions): void {
  const { annotations, board, audit } = options;
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/api/v1/annotations',
    {
      schema: {
        summary: 'Notes and labelled periods, the newest first',
        querystring: query,
        response: {
          200: z.object({
            complete: z.boolean().describe('False if there are more than `limit`'),
            annotations: z.array(annotationJson),
          }),
          503: errorJson,
        },
      },
    },
    async ({ query: { watch, from, to, limit, removed, ...wanted } }) => {
      const found = await annotations.list({ watch, fromMs: from, toMs: to, limit: LIST_MAX + 1 });
      const listed = found.filter(
        (each) => (removed || each.removed === undefined) && (wanted.label ?? each.label) === each.label,
      );
      const complete = found.length <= LIST_MAX && listed.length <= limit;
      return { complete, annotations: listed.slice(0, limit).map(annotationToJson) };
    },
  );
  app.post(
    '/api/v1/annotations',
    {
      config: { permission: 'operate' },
      schema: {
        summary: 'Record a note, or label a period as fault or normal',
        body: draft,
        response: { 201: annotationJson, 400: errorJson, 404: errorJson, 503: errorJson },
      },
    },
    async ({ body: { watch, from_ms: fromMs, to_ms: toMs = fromMs, ...said }, caller }, reply) => {
      if (!board.watches().some((each) => each.watch === watch))
        return reply.code(404).send({ error: `There is no watch '${watch}'` });
      const added = await annotations.add({ watch, fromMs, toMs, ...said }, actorName(caller));
      await audit.record(caller, 'annotate', watch, { id: added.id, label: added.label, from_ms: fromMs, to_ms: toMs });
      return reply.code(201).send(annotationToJson(added));
    },
  );
  app.delete(
    '/api/v1/annotations/:id',
    {
      config: { permission: 'operate' },
      schema: {
        summary: 'Mark an annotation as removed. It stays stored with who removed it',
        params: z.object({ id: z.string() }),
        response: { 200: annotationJson, 404: errorJson, 503: errorJson },
      },
    },
    async ({ params: { id }, caller }, reply) => {
      const removed = await annotations.remove(id, actorName(caller));
      if (removed === undefined) return reply.code(404).send({ error: `There is no annotation '${id}'` });
      await audit.record(caller, 'remove-annotation', removed.watch, { id });
      return annotationToJson(removed);
    },
  );
}

function annotationToJson(annotation: Annotation): z.infer<typeof annotationJson> {
  return snakeJson(annotation);
}
