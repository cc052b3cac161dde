import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { AlarmCommands, AlarmFlood } from '../contracts/alarm-commands.ts';
import { snakeJson } from '../domain/record/snake-json.ts';
import { alarmPayload } from '../domain/record/alarm-payload.ts';
import type { AlarmTransition } from '../domain/alarm/alarm.ts';
import type { Deps } from '../platform/deps.ts';
import { duration } from '../platform/config-fields.ts';
import { actorName } from '../web/access/caller.ts';
import type { OperatorAudit } from '../web/access/operator-audit.ts';
import { errorJson } from '../web/http-errors.ts';
import { alarmJson, floodJson } from './api-schemas.ts';
import { alarmFailure } from '../pipeline/alarm-errors.ts';
import { apiFailure } from './api-errors.ts';

const COMMENT_LENGTH_MAX = 500;
/** ISA-18.2 requires that shelving ends; one week is the limit here. */
const SHELVE_MS_MAX = 7 * 86_400_000;

/** Paths of the three kinds of alarms, and the earlier path of a watch's alarm. */
const alarmPaths = ['watch/:id', 'limit/:kind/:id', 'diagnostic/:kind/:id', ':id'];
const alarmParams = z.object({ kind: z.string().optional(), id: z.string() });
const actor = z
  .string()
  // Not `min` and `max`, which also accept an object that has a length.
  .refine((name) => name.length >= 1 && name.length <= 100, { error: 'expected 1 to 100 characters' })
  .meta({ minLength: 1, maxLength: 100 })
  .optional()
  .describe('Person for whom a program with a token acts. Ignored for users: their name comes from the login');

const comment = z.string().max(COMMENT_LENGTH_MAX).optional();

export type AlarmRoutesOptions = {
  readonly alarms: AlarmCommands;
  readonly flood: () => AlarmFlood;
  readonly audit: OperatorAudit;
  readonly deps: Deps;
};

/** `GET /api/v1/alarms` and `POST /api/v1/alarms/<id>/acknowledge|shelve|unshelve`. */
export function registerAlarmRoutes(instance: FastifyInstance, options: AlarmRoutesOptions): void {
  const { alarms, flood } = options;
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/api/v1/alarms',
    {
      schema: {
        summary: 'All alarms, including normal ones',
        response: { 200: z.object({ alarms: z.array(alarmJson), flood: floodJson }), 503: errorJson },
      },
    },
    () => {
      if (!alarms.restored) throw alarmFailure('alarms-not-restored', 'The stored alarms could not be read yet');
      return { alarms: alarms.list().map(alarmToJson), flood: snakeJson(flood()) };
    },
  );
  for (const path of alarmPaths) registerAlarmCommands(instance, path, options);
}

function registerAlarmCommands(
  instance: FastifyInstance,
  path: string,
  { alarms, audit, deps }: AlarmRoutesOptions,
): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const answers = { 200: alarmJson, 404: errorJson, 409: errorJson, 503: errorJson };
  const prefix = path.split(':')[0] ?? '';
  const idOf = ({ kind, id }: z.infer<typeof alarmParams>) => `${prefix}${kind === undefined ? '' : `${kind}/`}${id}`;
  app.post(
    `/api/v1/alarms/${path}/acknowledge`,
    {
      config: { permission: 'operate' },
      schema: {
        summary: 'Acknowledge an alarm',
        params: alarmParams,
        body: z.object({ by: actor, comment }),
        response: answers,
      },
    },
    async ({ params, body, caller }) => {
      const changed = await alarms.acknowledge(idOf(params), actorName(caller, body.by), body.comment);
      await audit.record(caller, 'acknowledge', changed.alarm, { by: changed.by, comment: body.comment });
      return alarmToJson(changed);
    },
  );
  app.post(
    `/api/v1/alarms/${path}/shelve`,
    {
      config: { permission: 'operate' },
      schema: {
        summary: 'Shelve an alarm until a time',
        params: alarmParams,
        body: shelveBody,
        response: { ...answers, 400: errorJson },
      },
    },
    async ({ params, body, caller }) => {
      const untilMs = body.until_ms ?? deps.clock.nowMs() + (body.duration ?? 0);
      checkShelving(untilMs - deps.clock.nowMs());
      const changed = await alarms.shelve(idOf(params), untilMs, actorName(caller, body.by), body.comment);
      const details = { by: changed.by, until_ms: untilMs, comment: body.comment };
      await audit.record(caller, 'shelve', changed.alarm, details);
      return alarmToJson(changed);
    },
  );
  app.post(
    `/api/v1/alarms/${path}/unshelve`,
    {
      config: { permission: 'operate' },
      schema: { summary: 'End shelving', params: alarmParams, body: z.object({ by: actor }), response: answers },
    },
    async ({ params, body, caller }) => {
      const changed = await alarms.unshelve(idOf(params), actorName(caller, body.by));
      await audit.record(caller, 'unshelve', changed.alarm, { by: changed.by });
      return alarmToJson(changed);
    },
  );
}

const shelveBody = z
  .object({
    by: actor,
    comment,
    duration: duration('How long, such as 30m').optional(),
    until_ms: z.number().optional().describe('End of shelving, epoch milliseconds'),
  })
  .refine((body) => (body.duration === undefined) !== (body.until_ms === undefined), {
    error: "give either 'duration' (such as 30m) or 'until_ms': shelving always ends",
  });

function checkShelving(forMs: number): void {
  if (forMs > 0 && forMs <= SHELVE_MS_MAX) return;
  throw apiFailure(
    'alarm-shelving-invalid',
    `Shelving must end within 7d from now, not after ${Math.round(forMs / 1000)} s`,
  );
}

function alarmToJson(transition: AlarmTransition): z.infer<typeof alarmJson> {
  return alarmPayload(transition, undefined);
}
