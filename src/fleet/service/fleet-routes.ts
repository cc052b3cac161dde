import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { OperatorAudit } from '../../web/access/operator-audit.ts';
import { errorJson } from '../../web/http-errors.ts';
import { FILE_BYTES_MAX } from '../fleet-names.ts';
import { desiredStateSchema, reportedStateSchema } from '../fleet-states.ts';
import { boxLabels } from './box-register.ts';
import type { BoxStatus, FleetService } from './fleet-service.ts';

const HOUR_MS = 3_600_000;
const TOKEN_HOURS_MAX = 24 * 30;
/** A package of 200 MB over a slow line. */
const UPLOAD_MS_MAX = 3_600_000;

const boxParams = z.object({ box: z.string() });
const boxJson = z.object({
  box: z.string(),
  labels: boxLabels,
  enrolled_ms: z.number().nullable().describe('Time when it got its credentials; null if it has none'),
  desired: desiredStateSchema.nullable(),
  reported: reportedStateSchema.nullable(),
});
const errors = { 400: errorJson, 404: errorJson, 503: errorJson };
const tags = ['Fleet'];
const publicKey = z.string().regex(/^U[A-Z2-7]{55}$/, { error: 'expected the public key of a user nkey' });

export type FleetRoutesOptions = { readonly service: FleetService; readonly audit: OperatorAudit };

/** The boxes of a fleet over HTTP. */
export function registerFleetRoutes(app: FastifyInstance, options: FleetRoutesOptions): void {
  registerBoxes(app, options);
  registerEnrolment(app, options);
  registerFiles(app, options);
}

function registerBoxes(instance: FastifyInstance, { service, audit }: FleetRoutesOptions): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/api/v1/fleet/boxes',
    {
      schema: {
        summary: 'All boxes, with what they should have and what they report',
        tags,
        querystring: z.object({
          labels: z.string().optional().describe('Only boxes with these labels: site=lyon,line=2'),
        }),
        response: { 200: z.object({ boxes: z.array(boxJson) }), ...errors },
      },
    },
    async ({ query }) => ({ boxes: (await service.boxes(labelsOf(query.labels))).map(boxToJson) }),
  );
  app.get(
    '/api/v1/fleet/boxes/:box',
    { schema: { summary: 'One box', tags, params: boxParams, response: { 200: boxJson, ...errors } } },
    async ({ params }) => boxToJson(await service.box(params.box)),
  );
  app.put(
    '/api/v1/fleet/boxes/:box/labels',
    {
      config: { permission: 'configure' },
      schema: {
        summary: 'Replace the labels of a box',
        tags,
        params: boxParams,
        body: boxLabels,
        response: { 200: boxJson, ...errors },
      },
    },
    async ({ params: { box }, body, caller }) => {
      await service.label(box, body);
      await audit.record(caller, 'fleet', box, { labels: body });
      return boxToJson(await service.box(box));
    },
  );
  app.put(
    '/api/v1/fleet/boxes/:box/desired',
    {
      config: { permission: 'configure' },
      schema: {
        summary: 'Set what a box should have',
        description: 'Models and the configuration are named by the SHA-256 of files that were uploaded before.',
        tags,
        params: boxParams,
        body: desiredStateSchema.omit({ generation: true }),
        response: { 200: z.object({ box: z.string(), generation: z.number() }), ...errors },
      },
    },
    async ({ params: { box }, body, caller }) => {
      const generation = await service.setDesired(box, body);
      await audit.record(caller, 'fleet', box, { generation, ...body });
      return { box, generation };
    },
  );
}

function registerEnrolment(instance: FastifyInstance, { service, audit }: FleetRoutesOptions): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.post(
    '/api/v1/fleet/enrolments',
    {
      config: { permission: 'administer' },
      schema: {
        summary: 'A token with which a box can be enrolled once',
        tags,
        body: z.strictObject({
          box: z.string(),
          valid_hours: z.number().positive().max(TOKEN_HOURS_MAX).default(24),
        }),
        response: { 200: z.object({ box: z.string(), token: z.string(), expires_ms: z.number() }), ...errors },
      },
    },
    async ({ body, caller }) => {
      const { token, expiresMs } = await service.newToken(body.box, body.valid_hours * HOUR_MS);
      await audit.record(caller, 'fleet', body.box, { enrolment: 'token', expires_ms: expiresMs });
      return { box: body.box, token, expires_ms: expiresMs };
    },
  );
  app.post(
    '/api/v1/fleet/enrol',
    {
      // The token is the right to do it.
      config: { permission: 'open' },
      schema: {
        summary: 'Exchange a token for the credentials of a box',
        description: 'The box makes its nkey itself and sends the public key only.',
        tags,
        body: z.strictObject({ token: z.string().max(200), box: z.string().max(64), public_key: publicKey }),
        response: { 200: z.object({ box: z.string(), url: z.string(), jwt: z.string() }), ...errors },
      },
    },
    async ({ body, ip }) => {
      const { box, url, token: jwt } = await service.enrol(body.token, body.box, body.public_key);
      await audit.record(`box ${box}@${ip}`, 'fleet', box, { enrolment: 'done', public_key: body.public_key });
      return { box, url, jwt };
    },
  );
  app.delete(
    '/api/v1/fleet/boxes/:box/credentials',
    {
      config: { permission: 'administer' },
      schema: {
        summary: 'Revoke the credentials of a box',
        tags,
        params: boxParams,
        response: { 200: boxJson, ...errors },
      },
    },
    async ({ params: { box }, caller }) => {
      await service.revoke(box);
      await audit.record(caller, 'fleet', box, { enrolment: 'revoked' });
      return boxToJson(await service.box(box));
    },
  );
}

function registerFiles(instance: FastifyInstance, { service }: FleetRoutesOptions): void {
  void instance.register(async (scope) => {
    const app = scope.withTypeProvider<ZodTypeProvider>();
    app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    );
    app.put(
      '/api/v1/fleet/files',
      {
        config: { permission: 'models', arrivalTimeoutMs: UPLOAD_MS_MAX },
        bodyLimit: FILE_BYTES_MAX,
        schema: {
          summary: 'Upload a package of a model or a configuration',
          tags,
          consumes: ['application/octet-stream'],
          body: z.instanceof(Buffer).meta({ type: 'string', format: 'binary' }),
          response: { 200: z.object({ sha256: z.string() }), ...errors },
        },
      },
      async ({ body }) => ({ sha256: await service.buckets.putFile(body) }),
    );
  });
}

function boxToJson({ name, labels, enrolledMs, desired, reported }: BoxStatus): z.infer<typeof boxJson> {
  return {
    box: name,
    labels,
    enrolled_ms: enrolledMs ?? null,
    desired: desired ?? null,
    reported: reported ?? null,
  };
}

/** Returns the labels of a text such as `site=lyon,line=2`. */
function labelsOf(text: string | undefined): Readonly<Record<string, string>> {
  const pairs = (text ?? '').split(',').filter((pair) => pair !== '');
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}
