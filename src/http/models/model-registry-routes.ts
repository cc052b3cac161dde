import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { auditEntrySchema } from '../../contracts/model-audit-entry.ts';
import type { Activated, Installed, ModelRegistry, PackageSource } from '../../contracts/model-registry.ts';
import type { ModelTrainings } from '../../contracts/models/model-trainings.ts';
import { snakeJson } from '../../domain/record/snake-json.ts';
import { errorCode, OperatingError } from '../../platform/errors.ts';
import { actorWithAddress } from '../../web/access/caller.ts';
import { errorJson } from '../../web/http-errors.ts';
import { registerTrainings } from './training-routes.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';

export type ModelRegistryRoutesOptions = {
  readonly desk: ModelRegistry;
  readonly trainings: ModelTrainings;
  readonly receiveDeadlineMs: number;
};

const ARCHIVE_TYPES = ['application/gzip', 'application/x-gzip', 'application/x-tar', 'application/octet-stream'];
/** Proving a version takes seconds, so an immediate retry is useless. */
const RETRY_AFTER_S = 5;
const ENTRIES_DEFAULT = 100;
const ENTRIES_MAX = 10_000;

const modelParams = z.object({ name: z.string() });
const versionParams = modelParams.extend({ version: z.coerce.number().int().min(1) });
const versionBody = z.strictObject({ version: z.int().min(1) });
const sha256 = z.string().regex(/^[0-9a-f]{64}$/i, { error: 'expected 64 hexadecimal digits' });

const urlBody = z.strictObject({
  url: z.string().describe('http:// or https:// URL of an archive'),
  headers: z.record(z.string(), z.string()).default({}).describe('Headers of the request for the archive'),
  sha256: sha256.optional().describe('Expected SHA-256 of the archive'),
});

const proofJson = z.object({
  sha256: z.string(),
  provider: z.string(),
  golden: z.object({ vectors: z.number(), largest_difference: z.number() }),
  latency: z
    .object({
      warm_up_runs: z.number(),
      runs: z.number(),
      p50_ms: z.number(),
      p99_ms: z.number(),
      max_ms: z.number(),
      deadline_ms: z.number(),
    })
    .nullable(),
});
const activatedJson = z.object({
  model: z.string(),
  version: z.number(),
  previous: z.number().nullable(),
  proof: proofJson,
});
const installedJson = z.object({
  model: z.string(),
  version: z.number(),
  already_installed: z.boolean(),
  proof: proofJson.nullable(),
  activated: activatedJson.nullable(),
});
const auditJson = z.object({
  intact: z.boolean(),
  broken: z.object({ file: z.string(), line: z.number(), reason: z.string() }).nullable(),
  entries: z.array(auditEntrySchema),
});

const errors = { 401: errorJson, 403: errorJson, 404: errorJson, 409: errorJson, 422: errorJson, 503: errorJson };
const tags = ['Management of models'];
const permission = 'models';

/** The commands of `andon models` over HTTP, for engineers. */
export async function registerModelRegistryRoutes(
  root: FastifyInstance,
  options: ModelRegistryRoutesOptions,
): Promise<void> {
  // A scope of its own: bodies may be archives, and errors have their own statuses.
  await root.register(async (scope) => {
    const app = scope.withTypeProvider<ZodTypeProvider>();
    // No idle limit: nothing is sent between the last byte of a package and the answer, while the version is proved.
    app.addHook('onRequest', async ({ raw }) => void raw.socket.setTimeout(0));
    app.addContentTypeParser(ARCHIVE_TYPES, (_request, payload, done) => done(null, payload));
    app.setErrorHandler((error, _request, reply) => answerError(error, reply));
    registerInstall(app, options);
    registerActivation(app, options.desk);
    registerPins(app, options.desk);
    registerAudit(app, options.desk);
    registerTrainings(app, options.trainings);
  });
}

function registerInstall(app: FastifyInstance, { desk, receiveDeadlineMs }: ModelRegistryRoutesOptions): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/api/v1/models/install',
    {
      config: { permission, arrivalTimeoutMs: receiveDeadlineMs },
      schema: {
        summary: 'Verify a model package and install it in the model directory',
        description: 'The body is the archive itself, or JSON with the URL of one.',
        tags,
        consumes: ['application/json', 'application/gzip'],
        querystring: z.object({
          activate: z.stringbool().default(false).describe('Also activate the version'),
          sha256: sha256.optional().describe('Expected SHA-256 of the archive in the body'),
        }),
        body: z.union([urlBody, z.any().meta({ type: 'string', format: 'binary' })]),
        response: { 200: installedJson, 201: installedJson, ...errors, 408: errorJson, 413: errorJson, 502: errorJson },
      },
    },
    async ({ query, body, caller }, reply) => {
      const order = { ...packageOf(body), activate: query.activate };
      const installed = await desk.install(
        { ...order, sha256: query.sha256 ?? order.sha256 },
        actorWithAddress(caller),
      );
      return reply.code(installed.fresh ? 201 : 200).send(installedToJson(installed));
    },
  );
}

/** @throws {OperatingError} 'model-package-invalid' if the body is neither an archive nor JSON with a URL. */
function packageOf(body: unknown): { readonly source: PackageSource; readonly sha256: string | undefined } {
  if (body instanceof Readable) return { source: { kind: 'archive', bytes: body }, sha256: undefined };
  const parsed = urlBody.safeParse(body);
  if (parsed.success) {
    const { url, headers } = parsed.data;
    return { source: { kind: 'url', url, headers }, sha256: parsed.data.sha256 };
  }
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`);
  throw registryFailure('model-package-invalid', `Neither an archive nor JSON with its URL: ${problems.join('; ')}`);
}

function registerActivation(instance: FastifyInstance, desk: ModelRegistry): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const response = { 200: activatedJson, 400: errorJson, ...errors };
  app.post(
    '/api/v1/models/:name/activate',
    {
      config: { permission },
      schema: { summary: 'Verify a version and activate it', tags, params: modelParams, body: versionBody, response },
    },
    async ({ params, body, caller }) =>
      activatedToJson(await desk.activate({ name: params.name, version: body.version }, actorWithAddress(caller))),
  );
  app.post(
    '/api/v1/models/:name/rollback',
    {
      config: { permission },
      schema: { summary: 'Activate the previous version again', tags, params: modelParams, response },
    },
    async ({ params, caller }) => activatedToJson(await desk.rollback(params.name, actorWithAddress(caller))),
  );
  app.delete(
    '/api/v1/models/:name/versions/:version',
    {
      config: { permission },
      schema: {
        summary: 'Delete a version that is not active, pinned or in use',
        tags,
        params: versionParams,
        querystring: z.object({
          force: z.stringbool().default(false).describe('Also delete the version that a rollback would activate'),
        }),
        response: { 200: z.object({ model: z.string(), version: z.number() }), ...errors },
      },
    },
    async ({ params, query, caller }) => {
      await desk.remove(params, { force: query.force }, actorWithAddress(caller));
      return { model: params.name, version: params.version };
    },
  );
}

function registerPins(instance: FastifyInstance, desk: ModelRegistry): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const response = { 200: z.object({ model: z.string(), pinned: z.number().nullable() }), 400: errorJson, ...errors };
  app.post(
    '/api/v1/models/:name/pin',
    {
      config: { permission },
      schema: { summary: 'Pin the active version', tags, params: modelParams, body: versionBody, response },
    },
    async ({ params, body, caller }) => {
      await desk.pin({ name: params.name, version: body.version }, actorWithAddress(caller));
      return { model: params.name, pinned: body.version };
    },
  );
  app.post(
    '/api/v1/models/:name/unpin',
    { config: { permission }, schema: { summary: 'Unpin the version', tags, params: modelParams, response } },
    async ({ params, caller }) => {
      await desk.unpin(params.name, actorWithAddress(caller));
      return { model: params.name, pinned: null };
    },
  );
}

function registerAudit(app: FastifyInstance, desk: ModelRegistry): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/api/v1/models/audit',
    {
      config: { permission },
      schema: {
        summary: 'Audit log of the model directory, with the result of its verification',
        tags,
        querystring: z.object({
          limit: z.coerce
            .number()
            .int()
            .min(1)
            .max(ENTRIES_MAX)
            .default(ENTRIES_DEFAULT)
            .describe('Number of newest entries'),
          before: z.coerce.number().int().min(1).optional().describe('Only entries with a lower sequence number'),
          model: z.string().optional().describe('Only entries of this model'),
          version: z.coerce.number().int().min(1).optional().describe('Only entries of this version'),
        }),
        response: { 200: auditJson, 401: errorJson, 403: errorJson },
      },
    },
    async ({ query }) => {
      const { entries, broken } = await desk.audit();
      const { limit, before = Infinity, model, version } = query;
      const found = entries.filter(
        (entry) =>
          entry.sequence < before &&
          (model === undefined || entry.model === model) &&
          (version === undefined || entry.version === version),
      );
      return { intact: broken === undefined, broken: broken ?? null, entries: found.slice(-limit) };
    },
  );
}

/** HTTP status by error code, if it is not 422 (the request is valid, the version is not). */
const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  'model-server-away': 503,
  'model-version-unknown': 404,
  'model-no-previous': 409,
  'model-pinned': 409,
  'model-rollback-refused': 409,
  'model-version-in-use': 409,
  'model-version-not-active': 409,
  'model-version-taken': 409,
  'model-package-too-large': 413,
  'model-download-failed': 502,
  'model-directory-unusable': 503,
  'models-busy': 503,
  'training-busy': 409,
  'training-unknown': 404,
  'training-watch-unknown': 404,
};

function answerError(error: unknown, reply: FastifyReply): FastifyReply {
  if (errorCode(error) === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    const given = (reply.request.headers['content-type'] ?? '').slice(0, 100);
    const wanted = 'an archive as application/gzip, or JSON as application/json';
    return reply.code(415).send({ error: `The content type '${given}' is not supported; send ${wanted}` });
  }
  // The endpoint's own error handler answers the others.
  if (!(error instanceof OperatingError)) throw error;
  const status = STATUS_OF_CODE[error.code] ?? 422;
  if (status === 503) reply.header('retry-after', String(RETRY_AFTER_S));
  // The rest of a package is not read.
  if (!reply.request.raw.complete) reply.header('connection', 'close');
  return reply.code(status).send({ error: error.message });
}

function installedToJson({ name, version, fresh, proof, activated }: Installed) {
  return {
    ...snakeJson({ model: name, version, alreadyInstalled: !fresh, proof }),
    activated: activated === undefined ? null : activatedToJson(activated),
  };
}

function activatedToJson({ name, version, previous, proof }: Activated) {
  return snakeJson({ model: name, version, previous, proof });
}
