import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { ListedVersion, ModelCatalogue, VersionDetail } from '../../contracts/models/model-catalogue.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import { formatModelReference } from '../../domain/model/model-reference.ts';
import { snakeJson } from '../../domain/record/snake-json.ts';
import { errorJson } from '../../web/http-errors.ts';
import { listedModelJson, listedVersionJson, versionDetailJson } from './model-schemas.ts';

const PAGE_DEFAULT = 100;
const PAGE_MAX = 500;

const tags = ['Model directory'];
const limit = z.coerce.number().int().min(1).max(PAGE_MAX).default(PAGE_DEFAULT).describe('Most entries of the page');
const modelParams = z.object({ name: z.string() });
const versionParams = modelParams.extend({ version: z.coerce.number().int().min(1).max(999_999_999) });
const documentParams = versionParams.extend({ file: z.string().describe('Such as report.md') });

/** Content types by the end of a file's name. */
const documentTypes: Readonly<Record<string, string>> = {
  md: 'text/markdown; charset=utf-8',
  svg: 'image/svg+xml',
  png: 'image/png',
};
const OTHER_DOCUMENT = 'text/plain; charset=utf-8';
const documentContent = Object.fromEntries(
  [...Object.values(documentTypes), OTHER_DOCUMENT].map((type) => [type, { schema: z.any() }]),
);

const detection = z.record(z.string(), z.record(z.string(), z.number()));

/** Models, versions and their documents, as they are on disk. */
export function registerModelDirectory(instance: FastifyInstance, catalogue: ModelCatalogue): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/api/v1/models/directory',
    {
      schema: {
        summary: 'Models of the model directory, with their active, previous and rejected versions',
        tags,
        querystring: z.object({
          after: z.string().optional().describe('Name of the last model of the page before'),
          limit,
        }),
        response: {
          200: z.object({
            models: z.array(listedModelJson),
            next: z.string().nullable().describe('`after` of the next page; null for the last one'),
          }),
        },
      },
    },
    async ({ query }) => {
      const { models, more } = await catalogue.models(query.after, query.limit);
      return snakeJson({ models, next: more ? models.at(-1)?.name : undefined });
    },
  );
  app.get(
    '/api/v1/models/:name/versions',
    {
      schema: {
        summary: 'Versions of a model, the newest first',
        tags,
        params: modelParams,
        querystring: z.object({
          before: z.coerce.number().int().min(1).optional().describe('Last version of the page before'),
          limit,
        }),
        response: {
          200: z.object({
            versions: z.array(listedVersionJson),
            next: z.number().nullable().describe('`before` of the next page; null for the last one'),
          }),
          404: errorJson,
        },
      },
    },
    async ({ params, query }) => {
      const { versions, more } = await catalogue.versions(params.name, query.before, query.limit);
      return { versions: versions.map(listedToJson), next: (more ? versions.at(-1)?.version : undefined) ?? null };
    },
  );
  registerVersion(app, catalogue);
}

function registerVersion(instance: FastifyInstance, catalogue: ModelCatalogue): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/api/v1/models/:name/versions/:version',
    {
      schema: {
        summary: 'A version: signature, tags, threshold, training, and the list of its documents',
        tags,
        params: versionParams,
        response: { 200: versionDetailJson, 404: errorJson },
      },
    },
    async ({ params }) => detailToJson(await catalogue.version(params)),
  );
  app.get(
    '/api/v1/models/:name/versions/:version/documents/:file',
    {
      schema: {
        summary: 'A document of a version, such as the report of its training',
        tags,
        params: documentParams,
        response: { 200: { content: documentContent }, 404: errorJson },
      },
    },
    async ({ params }, reply) => {
      const bytes = await catalogue.document(params, params.file);
      const extension = /\.(\w+)$/.exec(params.file)?.[1] ?? '';
      // A package may come from elsewhere: a browser must not take a document for a page.
      reply.type(documentTypes[extension] ?? OTHER_DOCUMENT);
      return reply.header('content-security-policy', "default-src 'none'; sandbox").send(Buffer.from(bytes));
    },
  );
}

function listedToJson({ name, version, writtenMs, bytes, signedBy, problem, manifest }: ListedVersion) {
  return {
    model: name,
    version,
    written_ms: writtenMs,
    bytes,
    signed_by: signedBy ?? null,
    problem: problem ?? null,
    task: manifest?.task ?? null,
    runtime: manifest?.runtime ?? null,
    description: manifest?.description ?? '',
    metrics: manifest?.metrics ?? {},
  };
}

function detailToJson(detail: VersionDetail): z.infer<typeof versionDetailJson> {
  const { manifest, signature, goldenVectors, example, documents } = detail;
  const faults = detection.safeParse(manifest?.training['detection']);
  return {
    ...listedToJson(detail),
    sha256: manifest?.sha256 ?? null,
    signature: snakeJson(signature),
    remote: remoteOf(manifest),
    ...windowFields(manifest),
    golden_vectors: goldenVectors,
    example: example ?? null,
    training: manifest?.training ?? {},
    detection: faults.success ? faults.data : null,
    documents: [...documents],
  };
}

function remoteOf(manifest: AnyManifest | undefined) {
  const remote = manifest?.remote;
  if (remote === undefined) return null;
  return { url: remote.url, fallback: remote.fallback === undefined ? null : formatModelReference(remote.fallback) };
}

/** Fields of a model that judges windows; null for any other. */
function windowFields(manifest: AnyManifest | undefined) {
  if (manifest === undefined || !judgesWindows(manifest))
    return {
      window: null,
      tags: [],
      input: null,
      threshold: null,
      abnormal: null,
      deadband: null,
      score_unit: null,
      classes: null,
    };
  const { window, threshold, abnormal, deadband, output, classes, input } = manifest;
  return {
    window: { steps: window.steps, step_ms: window.stepMs ?? null },
    tags: manifest.tags.map(({ name, unit, range }) => ({ name, unit, range: range ?? null })),
    input,
    threshold,
    abnormal,
    deadband,
    score_unit: output.unit,
    classes: classes ?? null,
  };
}
